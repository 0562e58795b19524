/**
 * Attack: someone records the links of today, and waits for a quantum computer that breaks X25519. What he will be able to read
 * stands in the open in every recording: the group of the key exchange, in the ServerHello. The same attacker on the way tries to
 * take the hybrid out of the hello of an end that offers X25519 beside it.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { hasHybrid, type KeyExchange } from '../../lib/link/key-exchange.ts';
import { dialOnce } from '../support/key-exchange-ends.ts';
import { testListener } from '../support/link-fixtures.ts';

/** Code points of named groups (RFC 8446 section 4.2.7; draft-ietf-tls-ecdhe-mlkem). */
const X25519 = 0x001d;
const X25519MLKEM768 = 0x11ec;
/** One that nobody knows. */
const UNKNOWN = 0x0b0b;
const KEY_SHARE = 51;
const runtime = hasHybrid() ? {} : { skip: `NODE.JS ${process.version} HAS NO X25519MLKEM768` };

/** The group that a recorded ServerHello names (RFC 8446 sections 4.1.3 and 4.2.8). */
function groupIn(serverHello: Buffer): number {
  const SESSION_ID_AT = 5 + 4 + 2 + 32;
  let at = SESSION_ID_AT + 1 + serverHello.readUInt8(SESSION_ID_AT) + 2 + 1 + 2;
  while (serverHello.readUInt16BE(at) !== KEY_SHARE) at += 4 + serverHello.readUInt16BE(at + 2);
  return serverHello.readUInt16BE(at + 4);
}

/** The hello with the hybrid in both of its lists replaced by a group that nobody knows: lengths stay as they are. */
function withoutHybrid(clientHello: Buffer): Buffer {
  const changed = Buffer.from(clientHello);
  const hybrid = Buffer.from([X25519MLKEM768 >> 8, X25519MLKEM768 & 0xff]);
  for (let at = changed.indexOf(hybrid); at >= 0; at = changed.indexOf(hybrid, at + 2))
    changed.writeUInt16BE(UNKNOWN, at);
  return changed;
}

/** Someone on the way to `port`, who keeps what the acceptor sends and may change what the dialler sends first. */
async function onTheWay(t: Test, port: number, change: (first: Buffer) => Buffer = (first) => first) {
  const recorded: Buffer[] = [];
  const pipe = (from: Socket, to: Socket, each: (chunk: Buffer) => Buffer) => {
    from.on('data', (chunk: Buffer) => to.write(each(chunk)));
    from.on('error', () => {});
    from.on('close', () => to.destroy());
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let first = true;
    pipe(near, far, (chunk) => {
      const sent = first ? change(chunk) : chunk;
      first = false;
      return sent;
    });
    pipe(far, near, (chunk) => {
      recorded.push(chunk);
      return chunk;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, group: () => groupIn(Buffer.concat(recorded)) };
}

/** A link with someone on the way: what the dialling end has, and what the recording says. */
async function attacked(t: Test, dialling: KeyExchange, accepting: KeyExchange, change?: (first: Buffer) => Buffer) {
  const listener = await testListener({ keyExchange: accepting });
  const way = await onTheWay(t, listener.port, change);
  const { state, group, reason } = await dialOnce({ ...listener.target(), port: way.port }, dialling);
  await listener.close();
  return { isUp: state === 'up', group, reason, recorded: way.group };
}

t.test('links of ends that have the hybrid cannot be read later', runtime, async (t) => {
  for (const [dialling, accepting] of [
    ['any', 'any'],
    ['hybrid', 'any'],
    ['any', 'hybrid'],
    ['hybrid', 'hybrid'],
  ] as const) {
    const { isUp, recorded } = await attacked(t, dialling, accepting);
    t.ok(isUp);
    t.equal(recorded(), X25519MLKEM768, `${dialling} to ${accepting}`);
  }
});

t.test('the same recorder finds a link that he can read later', async (t) => {
  for (const [dialling, accepting] of [
    ['x25519', 'any'],
    ['any', 'x25519'],
  ] as const) {
    const { isUp, recorded } = await attacked(t, dialling, accepting);
    t.ok(isUp);
    t.equal(recorded(), X25519, `${dialling} to ${accepting}`);
  }
});

t.test('nobody on the way can take the hybrid out of a handshake', runtime, async (t) => {
  for (const dialling of ['any', 'hybrid'] as const) {
    const { isUp, group, reason, recorded } = await attacked(t, dialling, 'any', withoutHybrid);
    if (dialling === 'any') t.equal(recorded(), X25519, 'the other end believes it');
    t.notOk(isUp, dialling);
    t.equal(group, '', 'nothing of a link has been sent');
    t.not(reason, '');
  }
  const untouched = await attacked(t, 'any', 'any', (hello) => hello);
  t.match(untouched, { isUp: true, group: 'X25519MLKEM768' }, 'it fails for the change, not for being on the way');
});
