/**
 * The login of SOCKS5 on behalf of programs that know none: no browser sends one to a SOCKS proxy, and without it its streams
 * would share sessions with those of other programs.
 * @module
 */
import type { Socket } from 'node:net';
import { MixError } from '../../lib/core/errors.ts';
import { breakOff } from '../../lib/relay/break-off.ts';
import type { Login } from './address.ts';

/** From accept until the proxy has taken the login. */
export const LOGIN_TIMEOUT_MS = 10_000;

const VERSION = 5;
const NO_AUTH = 0;
const USER_PASSWORD = 2;
const NONE_ACCEPTABLE = 0xff;
const AUTH_VERSION = 1;

/**
 * Takes the greeting of `program` and logs in at `proxy` (RFC 1928, RFC 1929): behind that the program's request can be handed
 * on as it is. Both sockets are paused, before and after. Rejects with MALFORMED when one of them speaks something else, and
 * with RESET when one ends or takes more than ten seconds.
 */
export async function logIn(program: Socket, proxy: Socket, { user, password }: Login): Promise<void> {
  const timer = setTimeout(() => {
    breakOff(program);
    breakOff(proxy);
  }, LOGIN_TIMEOUT_MS);
  try {
    if (!(await offersNoAuth(program))) {
      program.write(Uint8Array.of(VERSION, NONE_ACCEPTABLE));
      throw new MixError('MALFORMED', 'the program wants to log in itself');
    }
    const [name, secret] = [Buffer.from(user), Buffer.from(password)];
    const auth = [AUTH_VERSION, name.byteLength, ...name, secret.byteLength, ...secret];
    proxy.write(Uint8Array.of(VERSION, 1, USER_PASSWORD, ...auth));
    const [, method, , refused] = await readExactly(proxy, 4);
    if (method !== USER_PASSWORD || refused !== 0) throw new MixError('MALFORMED', 'the proxy takes no login');
    program.write(Uint8Array.of(VERSION, NO_AUTH));
  } finally {
    clearTimeout(timer);
  }
}

/** RFC 1928 section 3: version, number of methods, methods. Rejects on anything else. */
async function offersNoAuth(socket: Socket): Promise<boolean> {
  const [version, count = 0] = await readExactly(socket, 2);
  if (version !== VERSION || count === 0) throw new MixError('MALFORMED', 'not SOCKS5');
  return (await readExactly(socket, count)).includes(NO_AUTH);
}

/** The next bytes of a paused socket, which is paused again. Rejects when it ends before. */
function readExactly(socket: Socket, bytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const detach = () => socket.pause().off('data', onData).off('end', onEnd).off('close', onEnd);
    const onEnd = () => {
      detach();
      reject(new MixError('RESET', 'closed in between'));
    };
    const onData = (piece: Buffer) => {
      got = Buffer.concat([got, piece]);
      if (got.byteLength < bytes) return;
      detach();
      if (got.byteLength > bytes) socket.unshift(got.subarray(bytes));
      resolve(got.subarray(0, bytes));
    };
    socket.on('data', onData).on('end', onEnd).on('close', onEnd).resume();
  });
}
