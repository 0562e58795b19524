import t from 'tap';
import { ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { Socks4Handshake } from '../../proxy/front/handshake/socks4.ts';
import { converse, hex } from '../support/handshake-lines.ts';

const REJECTED = '005b000000000000';
const run = (...messages: (Buffer | number[])[]) => converse(messages);
const text = (latin1: string) => Buffer.from(latin1, 'latin1');

t.test('a SOCKS4 request carries an address', async (t) => {
  t.same(run([4, 1, 0x1f, 0x90, 192, 0, 2, 7, 0]), ['socks4 192.0.2.7 8080 early '], 'empty user id');
  t.same(run([4, 1, 0, 80, 192, 0, 2, 7], text('joe\0GET /')), [
    `socks4 192.0.2.7 80 token ${hex(text('joe'))} early ${hex(text('GET /'))}`,
  ]);
  t.same(run([4, 1, 0, 80, 0, 0, 0, 0, 0]), ['socks4 0.0.0.0 80 early '], 'no name follows: left to the policy');
});

t.test('a SOCKS4a request carries a name', async (t) => {
  t.same(run([4, 1, 1, 0xbb, 0, 0, 0, 1], text('\0example.org\0')), ['socks4a example.org 443 early ']);
  t.same(run([4, 1, 1, 0xbb, 0, 0, 0, 255], text('u\0example.org\0\0x')), [
    `socks4a example.org 443 token ${hex(text('u'))} early 0078`,
  ]);
  t.same(run([4, 1, 0, 80, 0, 0, 0, 1], text('\0b'), Buffer.from('ücher.example\0')), [
    'socks4a bücher.example 80 early ',
  ]);
  t.same(run([4, 1, 0, 80, 0, 0, 0, 1], text('\0\0')), ['socks4a  80 early '], 'empty: left to the destination check');
  t.same(run([4, 1, 0, 80, 0, 0, 1, 1, 0]), ['socks4 0.0.1.1 80 early '], 'only 0.0.0.x announces a name');
});

t.test('user ids are bytes, not text', async (t) => {
  t.same(run([4, 1, 0, 80, 192, 0, 2, 7, 0xff, 0xfe, 0]), ['socks4 192.0.2.7 80 token fffe early ']);
});

t.test('failures have eight bytes and start with zero', async (t) => {
  t.same(run([4, 2]), [`refuse COMMAND ${REJECTED}`], 'BIND');
  t.same(run([4, 0xf1]), [`refuse COMMAND ${REJECTED}`], 'the answer would have no room');
  t.same(run([4, 1, 0, 80, 192, 0, 2, 7], text('u'.repeat(256))), [`refuse MALFORMED ${REJECTED}`]);
  t.same(run([4, 1, 0, 80, 192, 0, 2, 7], text(`${'u'.repeat(255)}\0`)).length, 1);
  t.same(run([4, 1, 0, 80, 0, 0, 0, 7, 0], text('h'.repeat(256))), [`refuse ADDRESS_TYPE ${REJECTED}`]);
  const handshake = new Socks4Handshake();
  for (const code of Object.keys(ERRORS) as ErrorCode[]) t.equal(hex(handshake.failureReply(code)), REJECTED, code);
});

t.test('the reply of success carries an IPv4 address or zeros', async (t) => {
  const handshake = new Socks4Handshake();
  t.equal(hex(handshake.openedReply({ host: '192.0.2.7', port: 0x1234 })), '005a1234c0000207');
  t.equal(hex(handshake.openedReply({ host: '2001:db8::1', port: 443 })), '005a000000000000', 'cannot be said');
  t.equal(hex(handshake.openedReply({ host: '0.0.0.0', port: 0 })), '005a000000000000');
});

t.test('nothing is read after the end', async (t) => {
  const handshake = new Socks4Handshake();
  t.equal(handshake.push(Buffer.from([4, 1, 0, 80, 192, 0, 2, 7, 0])).length, 1);
  t.same(handshake.push(Buffer.from([4, 1, 0])), []);
});
