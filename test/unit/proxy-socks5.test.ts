import t from 'tap';
import { ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { handshakeFor } from '../../proxy/front/handshake/handshake.ts';
import { Socks5Handshake } from '../../proxy/front/handshake/socks5.ts';
import { connectRequest, GREETING } from '../support/front-world.ts';
import { converse, hex, lines } from '../support/handshake-lines.ts';

const run = (...messages: (Buffer | number[])[]) => converse(messages);

const password = (user: string, secret: string) =>
  Buffer.concat([
    Buffer.from([1, user.length]),
    Buffer.from(user, 'latin1'),
    Buffer.from([secret.length]),
    Buffer.from(secret, 'latin1'),
  ]);

t.test('the method is chosen from those offered, password first', async (t) => {
  t.same(run([5, 1, 0]), ['send 0500'], 'no authentication');
  t.same(run([5, 1, 2]), ['send 0502'], 'password');
  t.same(run([5, 3, 1, 0, 2]), ['send 0502'], 'password is preferred: isolation would silently never happen');
  t.same(run([5, 2, 1, 3]), ['refuse METHODS 05ff'], 'nothing acceptable');
  t.same(run([5, 0]), ['refuse METHODS 05ff'], 'empty list');
});

t.test('with preferNoAuth a login is taken from those only that offer nothing else', async (t) => {
  const choose = (...methods: number[]) => converse([[5, methods.length, ...methods]], { preferNoAuth: true });
  t.same(choose(0, 2), ['send 0500']);
  t.same(choose(2, 1, 0), ['send 0500'], 'in any order');
  t.same(choose(0), ['send 0500']);
  t.same(choose(2), ['send 0502'], 'it keeps streams apart as ever');
  t.same(choose(1, 3), ['refuse METHODS 05ff']);
  const pushy = converse([[5, 2, 0, 2], password('u', 'p'), connectRequest('a.example', 1)], { preferNoAuth: true });
  t.same(pushy.at(-1), 'socks5 a.example 1 token 01750170 early ', 'a login that comes all the same is taken');
});

t.test('requests are read with every address type', async (t) => {
  t.same(run(GREETING, connectRequest('example.org', 443)).at(-1), 'socks5 example.org 443 early ');
  t.same(run(GREETING, connectRequest([192, 0, 2, 1], 80)).at(-1), 'socks5 192.0.2.1 80 early ');
  const v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0a, 0x01];
  t.same(
    run(GREETING, connectRequest(v6, 65535)).at(-1),
    'socks5 2001:0db8:0000:0001:0000:0000:0000:0a01 65535 early ',
    'no leading zero is lost, as it is in the original of the package',
  );
  t.same(run(GREETING, connectRequest('192.0.2.1', 80)).at(-1), 'socks5 192.0.2.1 80 early ', 'Chromium does');
  t.same(run(GREETING, connectRequest('', 80)).at(-1), 'socks5  80 early ', 'left to the destination check');
  const longest = `${'a'.repeat(63)}.`.repeat(4).slice(0, 255);
  t.same(run(GREETING, connectRequest(longest, 1)).at(-1), `socks5 ${longest} 1 early `);
});

t.test('what comes with the request is kept', async (t) => {
  const glued = Buffer.concat([GREETING, connectRequest('example.org', 80), Buffer.from('GET /')]);
  t.same(run(glued), ['send 0500', `socks5 example.org 80 early ${hex(Buffer.from('GET /'))}`]);
});

t.test('UDP ASSOCIATE, RESOLVE and RESOLVE_PTR are read', async (t) => {
  for (const [command, kind] of [
    [0x03, 'udp'],
    [0xf0, 'resolve'],
    [0xf1, 'resolve-ptr'],
  ] as const) {
    const [, step] = new Socks5Handshake().push(Buffer.concat([GREETING, connectRequest('a.example', 0, command)]));
    t.match(step, { kind: 'request', request: { kind, host: 'a.example', port: 0 } });
  }
});

t.test('failures have their full length', async (t) => {
  const failure = (code: number) => `050${code}0001000000000000`;
  t.same(run(GREETING, connectRequest('a.example', 1, 2)).at(-1), `refuse COMMAND ${failure(7)}`, 'BIND');
  t.same(run(GREETING, [5, 9]).at(-1), `refuse COMMAND ${failure(7)}`, 'unknown command');
  t.same(run(GREETING, [5, 1, 0, 2]).at(-1), `refuse ADDRESS_TYPE ${failure(8)}`, 'unknown address type');
  t.same(run(GREETING, [4, 1]).at(-1), `refuse MALFORMED ${failure(1)}`, 'version of the request');
});

t.test('nothing is read after the end', async (t) => {
  const handshake = new Socks5Handshake();
  handshake.push(Buffer.concat([GREETING, connectRequest('example.org', 80)]));
  t.same(handshake.push(Buffer.from([5, 1, 0])), []);
});

t.test('user name and password become the token', async (t) => {
  const token = (user: string, secret: string) => hex(password(user, secret).subarray(1));
  t.same(run([5, 1, 2], password('alice', 'pa'), connectRequest('example.org', 80)), [
    'send 0502',
    'send 0100',
    `socks5 example.org 80 token ${token('alice', 'pa')} early `,
  ]);
  t.same(run([5, 1, 2], password('u', '')).at(-1), 'send 0100', 'curl sends an empty password');
  t.same(run([5, 1, 2], password('', '')).at(-1), 'send 0100');
  t.same(
    run([5, 1, 2], password('\xff\x00', 'x'), connectRequest('h.example', 1)).at(-1),
    `socks5 h.example 1 token ${token('\xff\x00', 'x')} early `,
    'bytes, not text',
  );
  t.same(run([5, 1, 2], [5, 1, 65, 1, 65]).at(-1), 'refuse MALFORMED 0101', 'wrong version');
  t.not(token('a', 'bc'), token('ab', 'c'));
});

t.test('credentials that nobody asked for are taken', async (t) => {
  t.same(run(GREETING, password('u', 'p'), connectRequest('h.example', 1)), [
    'send 0500',
    'send 0100',
    `socks5 h.example 1 token ${hex(password('u', 'p').subarray(1))} early `,
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

t.test('replies carry the bound address in its form', async (t) => {
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

t.test('extended errors, where RFC 1928 has no code of its own', async (t) => {
  const reply = (code: ErrorCode, extendedErrors: boolean) => handshakeFor(5, { extendedErrors }).failureReply(code)[1];
  const codes = Object.keys(ERRORS) as ErrorCode[];
  for (const code of codes) t.ok((reply(code, false) ?? 0) <= 8, `${code} by default`);
  t.equal(reply('NO_CONSENSUS', true), 0xf0);
  t.equal(reply('LIMIT', true), 0xf6);
  t.equal(reply('REFUSED', true), 5);
});

t.test('what is no protocol of ours gets no words', async (t) => {
  t.same(run([0x16, 3, 1]), ['refuse PROTOCOL ']);
});
