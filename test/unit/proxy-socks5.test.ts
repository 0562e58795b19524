import t from 'tap';
import type { HandshakeStep } from '../../proxy/handshake.ts';
import { handshakeFor } from '../../proxy/handshake.ts';
import { Socks5Handshake } from '../../proxy/socks5.ts';
import { connectRequest, GREETING } from '../support/front-world.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Steps in one line each. */
function lines(steps: HandshakeStep[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'send') return `send ${hex(step.bytes)}`;
    if (step.kind === 'refuse') return `refuse ${step.reason} ${hex(step.bytes)}`;
    const { host, port, hostIsAddress, isolation } = step.request;
    const token = isolation === undefined ? '' : ` token ${hex(Buffer.from(isolation, 'latin1'))}`;
    return `request ${host} ${port} ${hostIsAddress ? 'address' : 'name'}${token} early ${hex(step.early)}`;
  });
}

/** What a fresh handshake makes of these messages, each pushed at once. */
function run(...messages: (Buffer | number[])[]): string[] {
  const handshake = new Socks5Handshake();
  return lines(messages.flatMap((message) => handshake.push(Buffer.from(message))));
}

const password = (user: string, secret: string) =>
  Buffer.concat([
    Buffer.from([1, user.length]),
    Buffer.from(user, 'latin1'),
    Buffer.from([secret.length]),
    Buffer.from(secret, 'latin1'),
  ]);

t.test('method selection', async (t) => {
  t.same(run([5, 1, 0]), ['send 0500'], 'no authentication');
  t.same(run([5, 1, 2]), ['send 0502'], 'password');
  t.same(run([5, 3, 1, 0, 2]), ['send 0502'], 'password is preferred: isolation would silently never happen');
  t.same(run([5, 2, 1, 3]), ['refuse METHODS 05ff'], 'nothing acceptable');
  t.same(run([5, 0]), ['refuse METHODS 05ff'], 'empty list');
});

t.test('requests by address type', async (t) => {
  t.same(run(GREETING, connectRequest('example.org', 443)).at(-1), 'request example.org 443 name early ');
  t.same(run(GREETING, connectRequest([192, 0, 2, 1], 80)).at(-1), 'request 192.0.2.1 80 address early ');
  const v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0a, 0x01];
  t.same(
    run(GREETING, connectRequest(v6, 65535)).at(-1),
    'request 2001:0db8:0000:0001:0000:0000:0000:0a01 65535 address early ',
    'no leading zero is lost, as it is in the original of the package',
  );
  t.same(run(GREETING, connectRequest('192.0.2.1', 80)).at(-1), 'request 192.0.2.1 80 address early ', 'Chromium does');
  t.same(run(GREETING, connectRequest('', 80)).at(-1), 'request  80 name early ', 'left to the destination check');
  const longest = `${'a'.repeat(63)}.`.repeat(4).slice(0, 255);
  t.same(run(GREETING, connectRequest(longest, 1)).at(-1), `request ${longest} 1 name early `);
});

t.test('what comes with the request is kept', async (t) => {
  const glued = Buffer.concat([GREETING, connectRequest('example.org', 80), Buffer.from('GET /')]);
  t.same(run(glued), ['send 0500', `request example.org 80 name early ${hex(Buffer.from('GET /'))}`]);
});

t.test('failures have their full length', async (t) => {
  const failure = (code: number) => `050${code}0001000000000000`;
  t.same(run(GREETING, connectRequest('a.example', 1, 2)).at(-1), `refuse COMMAND ${failure(7)}`, 'BIND');
  t.same(run(GREETING, connectRequest('a.example', 1, 3)).at(-1), `refuse COMMAND ${failure(7)}`, 'UDP ASSOCIATE');
  t.same(run(GREETING, connectRequest('a.example', 1, 0xf0)).at(-1), `refuse COMMAND ${failure(7)}`, 'RESOLVE');
  t.same(run(GREETING, connectRequest('a.example', 1, 0xf1)).at(-1), `refuse COMMAND ${failure(7)}`, 'RESOLVE_PTR');
  t.same(run(GREETING, [5, 9]).at(-1), `refuse COMMAND ${failure(7)}`, 'unknown command');
  t.same(run(GREETING, [5, 1, 0, 2]).at(-1), `refuse ADDRESS_TYPE ${failure(8)}`, 'unknown address type');
  t.same(run(GREETING, [4, 1]).at(-1), `refuse MALFORMED ${failure(1)}`, 'version of the request');
});

t.test('nothing is read after the end', async (t) => {
  const handshake = new Socks5Handshake();
  handshake.push(Buffer.concat([GREETING, connectRequest('example.org', 80)]));
  t.same(handshake.push(Buffer.from([5, 1, 0])), []);
});

t.test('user name and password', async (t) => {
  const token = (user: string, secret: string) => hex(password(user, secret).subarray(1));
  t.same(run([5, 1, 2], password('alice', 'pa'), connectRequest('example.org', 80)), [
    'send 0502',
    'send 0100',
    `request example.org 80 name token ${token('alice', 'pa')} early `,
  ]);
  t.same(run([5, 1, 2], password('u', '')).at(-1), 'send 0100', 'curl sends an empty password');
  t.same(run([5, 1, 2], password('', '')).at(-1), 'send 0100');
  t.same(
    run([5, 1, 2], password('\xff\x00', 'x'), connectRequest('h.example', 1)).at(-1),
    `request h.example 1 name token ${token('\xff\x00', 'x')} early `,
    'bytes, not text',
  );
  t.same(run([5, 1, 2], [5, 1, 65, 1, 65]).at(-1), 'refuse MALFORMED 0101', 'wrong version');
  t.not(token('a', 'bc'), token('ab', 'c'));
});

t.test('credentials that nobody asked for are taken', async (t) => {
  t.same(run(GREETING, password('u', 'p'), connectRequest('h.example', 1)), [
    'send 0500',
    'send 0100',
    `request h.example 1 name token ${hex(password('u', 'p').subarray(1))} early `,
  ]);
  t.match(run(GREETING, password('u', 'p'), password('u', 'p')).at(-1), /^refuse MALFORMED 0501/, 'once');
});

t.test('two logins at once do not mix', async (t) => {
  const [alice, bob] = [new Socks5Handshake(), new Socks5Handshake()];
  alice.push(Buffer.from([5, 1, 2]));
  bob.push(Buffer.from([5, 1, 2]));
  alice.push(password('alice', 'pa').subarray(0, 5));
  bob.push(password('bob', 'pb').subarray(0, 3));
  alice.push(password('alice', 'pa').subarray(5));
  bob.push(password('bob', 'pb').subarray(3));
  const request = connectRequest('h.example', 1);
  t.match(lines(alice.push(request))[0], `token ${hex(password('alice', 'pa').subarray(1))}`);
  t.match(lines(bob.push(request))[0], `token ${hex(password('bob', 'pb').subarray(1))}`);
});

t.test('replies', async (t) => {
  const handshake = new Socks5Handshake();
  t.equal(hex(handshake.openedReply({ host: '0.0.0.0', port: 0 })), '05000001000000000000');
  t.equal(hex(handshake.openedReply({ host: '192.0.2.7', port: 0x1234 })), '05000001c00002071234');
  t.equal(
    hex(handshake.openedReply({ host: '2001:db8::1:0:0:a01', port: 443 })),
    '0500000420010db80000000000010000' + '00000a0101bb',
  );
  t.equal(hex(handshake.openedReply({ host: '::', port: 0 })), `05000004${'0'.repeat(36)}`);
  t.equal(hex(handshake.openedReply({ host: 'no address', port: 9 })), '05000001000000000000');
  const codes = { POLICY: 2, NET_UNREACHABLE: 3, NO_CONSENSUS: 3, NOT_FOUND: 4, HOST_UNREACHABLE: 4 } as const;
  const more = { REFUSED: 5, TIMEOUT: 6, COMMAND: 7, ADDRESS_TYPE: 8, LIMIT: 1, RESET: 1 } as const;
  for (const [code, reply] of Object.entries({ ...codes, ...more })) {
    t.equal(hex(handshake.failureReply(code as keyof typeof codes)), `050${reply}0001000000000000`, code);
  }
});

t.test('other protocols by the first byte', async (t) => {
  t.same(lines(handshakeFor(4).push(Buffer.from([4, 1]))), ['refuse SOCKS4 005b000000000000'], 'eight bytes');
  const [step] = handshakeFor(0x47).push(Buffer.from('GET / HTTP/1.1\r\n'));
  t.match(step, { kind: 'refuse', reason: 'HTTP' });
  t.match(step?.kind === 'refuse' && Buffer.from(step.bytes).toString(), /^HTTP\/1.0 501 .*\r\n\r\n/s);
  t.same(lines(handshakeFor(0x16).push(Buffer.from([0x16]))), ['refuse PROTOCOL '], 'TLS: nothing to say');
});
