/**
 * The environment in which programs find the proxy: the usual variables, and those of programs that go past them.
 * @module
 */
import { joinHostPort } from '../../lib/net/address.ts';
import type { Login } from '../proxy-use/address.ts';

export interface ProxyForPrograms {
  readonly host: string;
  readonly port: number;
  readonly login: Login;
  /** Hosts that programs connect to on their own. */
  readonly direct: readonly string[];
  /** The command line of `mixsocks connect`, in words. */
  readonly connect: readonly string[];
}

type Variables = Readonly<Record<string, string | undefined>>;

/** `env` with the proxy in it. What led programs to another proxy, or around one, is replaced. */
export function withProxy(env: Variables, proxy: ProxyForPrograms): Record<string, string | undefined> {
  const { user, password } = proxy.login;
  const place = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@${joinHostPort(proxy.host, proxy.port)}`;
  const [socks, http] = [`socks5h://${place}`, `http://${place}`];
  const direct = proxy.direct.join(',');
  return {
    ...env,
    ...bothCases('all_proxy', socks),
    ...bothCases('http_proxy', http),
    ...bothCases('https_proxy', http),
    // wget knows no SOCKS, and refuses instead of going past it; curl speaks it
    ...bothCases('ftp_proxy', socks),
    ...bothCases('no_proxy', direct),
    RSYNC_PROXY: place,
    grpc_proxy: http,
    no_grpc_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    // These beat a proxy, or none, in the programs' own config files.
    npm_config_proxy: http,
    npm_config_https_proxy: http,
    npm_config_noproxy: direct,
    YARN_HTTP_PROXY: http,
    YARN_HTTPS_PROXY: http,
    PIP_PROXY: http,
    CARGO_HTTP_PROXY: socks,
    JAVA_TOOL_OPTIONS: [env.JAVA_TOOL_OPTIONS, ...javaOptions(proxy)].filter(Boolean).join(' '),
    ...gitConfig(env, socks),
    GIT_SSH_COMMAND: sshCommand(env, proxy.connect),
    MIXSOCKS_PROXY: socks,
  };
}

function bothCases(name: string, value: string): Variables {
  return { [name]: value, [name.toUpperCase()]: value };
}

/** Java takes no login from properties. Its SOCKS is left alone: it looks names up itself. */
function javaOptions({ host, port, direct }: ProxyForPrograms): string[] {
  const of = (scheme: string) => [`-D${scheme}.proxyHost=${host}`, `-D${scheme}.proxyPort=${port}`];
  return [...of('http'), ...of('https'), `-Dhttp.nonProxyHosts=${direct.join('|')}`];
}

/** git takes `http.proxy` of its config before the environment's variables; this comes after all files. */
function gitConfig(env: Variables, socks: string): Variables {
  const count = /^\d{1,6}$/.test(env.GIT_CONFIG_COUNT ?? '') ? Number(env.GIT_CONFIG_COUNT) : 0;
  return {
    [`GIT_CONFIG_KEY_${count}`]: 'http.proxy',
    [`GIT_CONFIG_VALUE_${count}`]: socks,
    GIT_CONFIG_COUNT: String(count + 1),
  };
}

/** The ssh of git. Of an ssh that is started by hand only its own config files can be changed. */
function sshCommand(env: Variables, connect: readonly string[]): string {
  const ssh = env.GIT_SSH_COMMAND ?? (env.GIT_SSH === undefined ? 'ssh' : shellWord(env.GIT_SSH));
  return `${ssh} -o ${shellWord(`ProxyCommand=${proxyCommand(connect)}`)}`;
}

/** The value of ssh's ProxyCommand, which a shell reads after `%h` and the like are replaced. */
export function proxyCommand(connect: readonly string[]): string {
  return `${connect.map((word) => shellWord(word).replaceAll('%', '%%')).join(' ')} %h %p`;
}

export function shellWord(text: string): string {
  return /^[\w@+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
