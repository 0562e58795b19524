/**
 * Where a proxy takes requests, as the commands that use one get it: `127.0.0.1:1080`, `unix:/path`, or a URL with a login,
 * as in `ALL_PROXY`.
 * @module
 */
import { connect, type Socket } from 'node:net';
import { toHex } from '../../lib/core/bytes.ts';
import { MixError, systemCode } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { joinHostPort, reachableHost } from '../../lib/net/address.ts';
import { describeAddress, parseListenAddress } from '../../proxy/front/listener.ts';

export type ProxyPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** What keeps streams apart from others': any name and password, which need not exist anywhere. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface ProxyAddress {
  readonly place: ProxyPlace;
  readonly login?: Login;
}

/** RFC 1929 gives user name and password a byte of length each. */
const MAX_LOGIN_BYTES = 255;
const SCHEMES = ['socks5h:', 'socks5:', 'http:'];

/** Reads `text`, which was given as `source`. Throws CONFIG with one clear line. */
export function parseProxyAddress(text: string, source: string): ProxyAddress {
  if (!text.includes('://')) return { place: reachable(text, source) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw new MixError(
      'CONFIG',
      `${source}: '${text}' is no proxy: write host:port, unix:/path or socks5h://host:port`,
    );
  }
  const place = reachable(`${url.hostname}:${url.port === '' ? defaultPort(url) : url.port}`, source);
  if (url.username === '') return { place };
  return { place, login: { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) } };
}

function defaultPort(url: URL): number {
  return url.protocol === 'http:' ? 80 : 1080;
}

/** Where a listener is reached from this machine: one on every address, on loopback. */
export function reachable(listener: string, source: string): ProxyPlace {
  let address: ReturnType<typeof parseListenAddress>;
  try {
    address = parseListenAddress(listener.split('+', 1)[0] ?? '');
  } catch (error) {
    throw error instanceof MixError ? new MixError(error.code, `${source}: ${error.message}`, error) : error;
  }
  if (address.kind === 'unix') return { kind: 'unix', path: address.path };
  return { kind: 'tcp', host: reachableHost(address.host), port: address.port };
}

/** The login of `--identity NAME`: that of `socks5h://NAME:x@…`. Throws CONFIG. */
export function loginOf(identity: string): Login {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a header of HTTP and a URL cannot carry
  const usable = identity !== '' && !/[:\u0000-\u001f\u007f]/.test(identity);
  if (!usable || Buffer.byteLength(identity) > MAX_LOGIN_BYTES) {
    throw new MixError('CONFIG', `--identity: a name has 1 to ${MAX_LOGIN_BYTES} bytes and no colon`);
  }
  return { user: identity, password: 'x' };
}

/** A login of one run of `command`, kept apart from all other streams of the proxy. */
export function ownLogin(command: string): Login {
  return { user: `${command}-${toHex(systemRng.bytes(8))}`, password: 'x' };
}

/** The URL of a page on `listener`; undefined on a unix socket, and where the port is left to the system. */
export function pageUrl(listener: string, source: string): string | undefined {
  const place = reachable(listener, source);
  return place.kind === 'unix' || place.port === 0 ? undefined : `http://${joinHostPort(place.host, place.port)}`;
}

export function describePlace(place: ProxyPlace): string {
  return place.kind === 'unix' ? describeAddress(place) : joinHostPort(place.host, place.port);
}

/** Connects; both halves close on their own. Rejects with REFUSED and one line that says what can be done. */
export function dialProxy(place: ProxyPlace, localAddress?: string): Promise<Socket> {
  const target = place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port };
  const socket = connect({ ...target, ...(localAddress === undefined ? {} : { localAddress }), allowHalfOpen: true });
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(noProxyAt(describePlace(place), error));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

export function noProxyAt(where: string, error: unknown): MixError {
  const remedy = 'start one with mixsocks proxy or mixsocks localnet, or name another with --proxy or --dir';
  return new MixError('REFUSED', `no proxy at ${where}: ${systemCode(error) ?? 'no connection'}; ${remedy}`, error);
}
