/**
 * One address that the front listens on, with its options, as text: `127.0.0.1:1080`, `[::1]:1080+safe-socks`,
 * `unix:/run/user/1000/mixsocks.sock+group=mail+extended-errors`. The plus sign needs no quoting in any shell; an option
 * without a value is switched on, `=no` switches it off. In the path of a socket file a plus sign, and the comma that
 * separates listeners, are written `%2B` and `%2C`, and a per cent sign before one of these three codes `%25`.
 * @module
 */
import { isIP } from 'node:net';
import { expandHome } from '../../lib/config/home-folder.ts';
import { nearestName } from '../../lib/config/nearest-name.ts';
import { MixError } from '../../lib/core/errors.ts';
import { type HostPort, joinHostPort, parseListen } from '../../lib/net/address.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';

export type ListenAddress =
  | ({ readonly kind: 'tcp'; readonly loopback: boolean } & HostPort)
  | { readonly kind: 'unix'; readonly path: string };

/** What may differ between listeners; the values given for the whole front are the defaults. */
export interface ListenerSwitches {
  /** Let private destinations through to the requester. */
  readonly allowPrivate: boolean;
  /** Refuse addresses where a name could be sent. */
  readonly safeSocks: boolean;
  /** SOCKS5 failures get codes of ours where RFC 1928 has none. */
  readonly extendedErrors: boolean;
  /** SOCKS5: choose "no authentication" where it is offered, even beside user name and password. */
  readonly preferNoAuth: boolean;
  /** Tell success before the requester has connected; a failure then is a reset. */
  readonly optimistic: boolean;
  /** Keep streams of different client addresses apart. */
  readonly isolateClients: boolean;
  /** Keep streams with different credentials apart. */
  readonly isolateCredentials: boolean;
}

export interface ListenerOptions extends ListenerSwitches {
  readonly address: ListenAddress;
  /** Listeners of one group share isolation tokens; others never do. */
  readonly group: string;
}

/** The switches of a listener, by the names in its text. */
export const SWITCHES: Readonly<Record<string, keyof ListenerSwitches>> = {
  'allow-private': 'allowPrivate',
  'safe-socks': 'safeSocks',
  'extended-errors': 'extendedErrors',
  'prefer-no-auth': 'preferNoAuth',
  optimistic: 'optimistic',
  'isolate-clients': 'isolateClients',
  'isolate-credentials': 'isolateCredentials',
};

const NO_SWITCHES = Object.fromEntries(
  Object.values(SWITCHES).map((key) => [key, false]),
) as unknown as ListenerSwitches;

/** Reads the text of one listener. Throws CONFIG with one clear line. */
export function parseListener(text: string, defaults: ListenerSwitches): ListenerOptions {
  const [address = '', ...options] = text.split('+');
  const switches: Partial<Record<keyof ListenerSwitches, boolean>> = {};
  let group = address;
  for (const option of options) {
    const [name = '', value] = option.split('=', 2);
    const key = Object.hasOwn(SWITCHES, name) ? SWITCHES[name] : undefined;
    if (key !== undefined) switches[key] = switchValue(text, name, value);
    else if (name === 'group' && value !== undefined && value !== '') group = `=${value}`;
    else throw new MixError('CONFIG', `'${text}': ${objection(name)}`);
  }
  return { ...defaults, ...switches, address: parseListenAddress(address), group };
}

/** Throws CONFIG with one clear line where the text of a listener is wrong. */
export function checkListener(text: string): void {
  parseListener(text, NO_SWITCHES);
}

function switchValue(text: string, name: string, value = 'yes'): boolean {
  if (/^(yes|true|1|on)$/i.test(value)) return true;
  if (/^(no|false|0|off)$/i.test(value)) return false;
  throw new MixError('CONFIG', `'${text}': ${name} is yes or no`);
}

function objection(name: string): string {
  if (name === 'group') return 'a group needs a name: group=NAME';
  const near = nearestName(name, [...Object.keys(SWITCHES), 'group']);
  return `there is no option '${name}' of a listener${near === undefined ? '' : `; did you mean '${near}'?`}`;
}

/** Reads an address to listen on, without options. Throws CONFIG with one clear line. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/%(25|2b|2c)/gi, (code) => decodeURIComponent(code));
    if (path === '' || path.includes('\0')) throw new MixError('CONFIG', `'${text}' names no file: write unix:/path`);
    return { kind: 'unix', path: expandHome(path, 'the path of a listener') };
  }
  const { host, port } = parseListen(text);
  // Not left to the system's resolver: it could name another machine's network.
  const bound = host.toLowerCase() === 'localhost' ? '127.0.0.1' : host;
  return { kind: 'tcp', host: bound, port, loopback: isLoopback(bound) };
}

function isLoopback(host: string): boolean {
  const address = isIP(host) === 0 ? undefined : parseAddress(host);
  return address?.family === 4 ? address.text.startsWith('127.') : address?.text === '::1';
}

/** Whether other machines can reach it. */
export function isRemote(address: ListenAddress): boolean {
  return address.kind === 'tcp' && !address.loopback;
}

/** Throws CONFIG for an address that other machines can reach, unless that is meant. */
export function requireMeant(address: ListenAddress, allowRemote: boolean): void {
  if (!isRemote(address) || allowRemote) return;
  const where = describeAddress(address);
  throw new MixError('CONFIG', `${where} can be reached from other machines; --allow-remote if that is meant`);
}

/** As it is written in options and logs. */
export function describeAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path.replace(/[%+,]/g, encodeURIComponent)}`;
  return joinHostPort(address.host, address.port);
}
