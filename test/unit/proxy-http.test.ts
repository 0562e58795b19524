import t from 'tap';
import { ERRORS, type ErrorCode } from '../../lib/errors.ts';
import type { HandshakeStep } from '../../proxy/handshake.ts';
import { HttpHandshake, MAX_HTTP_HEADER_BYTES } from '../../proxy/http-connect.ts';
import { lines } from '../support/handshake-lines.ts';

const step = (text: string): HandshakeStep | undefined => new HttpHandshake().push(Buffer.from(text, 'latin1'))[0];
const run = (text: string) => lines(new HttpHandshake().push(Buffer.from(text, 'latin1')));

/** Reason and status of a refusal. */
function refusal(text: string): string {
  const found = step(text);
  if (found?.kind !== 'refuse') return found?.kind ?? 'nothing';
  return `${found.reason} ${/^HTTP\/1\.1 (\d+) /.exec(Buffer.from(found.bytes).toString())?.[1] ?? 'silence'}`;
}

t.test('CONNECT', async (t) => {
  t.same(run('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n'), ['http example.org 443 early ']);
  t.same(run('CONNECT 192.0.2.1:80 HTTP/1.0\r\n\r\nGET /'), ['http 192.0.2.1 80 early 474554202f']);
  t.same(run('CONNECT [2001:db8::1]:8443 HTTP/1.1\n\n'), ['http [2001:db8::1] 8443 early '], 'bare line feeds');
  t.same(run('CONNECT b\xc3\xbccher.example:80 HTTP/1.1\r\n\r\n'), ['http bücher.example 80 early '], 'UTF-8');
  t.same(run('CONNECT :80 HTTP/1.1\r\n\r\n'), ['http  80 early '], 'left to the destination check');
  t.same(run('CONNECT a.example:0 HTTP/1.1\r\n\r\n'), ['http a.example 0 early ']);
  t.same(run('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org'), [], 'not yet');
});

t.test('credentials become the isolation token, whatever the scheme', async (t) => {
  const token = (fields: string) => {
    const found = step(`CONNECT a.example:1 HTTP/1.1\r\n${fields}\r\n\r\n`);
    return found?.kind === 'request' ? found.request.isolation : undefined;
  };
  t.equal(token('Proxy-Authorization: Basic YWxpY2U6cGE='), 'Basic YWxpY2U6cGE=');
  t.equal(token('proxy-authorization:\tBearer x '), 'Bearer x');
  t.equal(token('Proxy-Authorization: a\r\nProxy-Authorization: b'), 'a, b');
  t.equal(token('Authorization: Basic YWxpY2U6cGE='), undefined, 'that one is for the site');
});

t.test('what is not a request', async (t) => {
  t.equal(refusal('CONNECT example.org HTTP/1.1\r\n\r\n'), 'ADDRESS_TYPE 400', 'no port');
  t.equal(refusal('CONNECT example.org:65536 HTTP/1.1\r\n\r\n'), 'ADDRESS_TYPE 400');
  t.equal(refusal('CONNECT 2001:db8::1:80 HTTP/1.1\r\n\r\n'), 'ADDRESS_TYPE 400', 'an address without brackets');
  t.equal(refusal('CONNECT http://a.example:80 HTTP/1.1\r\n\r\n'), 'ADDRESS_TYPE 400');
  t.equal(refusal('CONNECT a.example:80\r\n\r\n'), 'MALFORMED 400', 'no version');
  t.equal(refusal('PRI * HTTP/2.0\r\n\r\n'), 'MALFORMED 400');
  t.equal(refusal('CONNECT a.example:80 HTTP/1.1\r\nX : 1\r\n\r\n'), 'MALFORMED 400', 'space before the colon');
  t.equal(refusal('CONNECT a.example:80 HTTP/1.1\r\nX: 1\r\n folded\r\n\r\n'), 'MALFORMED 400');
  const lone = `GET / HTTP/1.1\r\na:${' '.repeat(7_000)}\rx\r\n\r\n`;
  t.equal(refusal(lone), 'MALFORMED 400', 'a lone CR, behind what a careless pattern would try for minutes');
  t.equal(refusal(`CONNECT a.example:80 HTTP/1.1\r\nX: ${'x'.repeat(MAX_HTTP_HEADER_BYTES)}`), 'MALFORMED 431');
  t.equal(refusal(`CONNECT a.example:80 HTTP/1.1\r\nX: ${'x'.repeat(MAX_HTTP_HEADER_BYTES)}\r\n\r\n`), 'MALFORMED 431');
});

t.test('the page', async (t) => {
  t.equal(refusal('GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n'), 'HTTP 501', 'set as HTTP proxy');
  t.equal(refusal('POST HTTPS://example.org/ HTTP/1.1\r\n\r\n'), 'HTTP 501');
  t.equal(refusal('GET / HTTP/1.1\r\nHost: 127.0.0.1:1080\r\n\r\n'), 'HTTP 405', 'opened in a browser');
  t.equal(refusal('GET / HTTP/1.1\r\nHost: LOCALHOST:1080\r\n\r\n'), 'HTTP 405');
  t.equal(refusal('GET / HTTP/1.1\r\nHost: attacker.example:1080\r\n\r\n'), 'HTTP silence', 'DNS rebinding');
  t.equal(refusal('GET / HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example\r\n\r\n'), 'HTTP silence');
  t.equal(refusal('GET / HTTP/1.0\r\n\r\n'), 'HTTP silence');
  t.equal(refusal('connect a.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n'), 'HTTP 405', 'methods have a case');
});

t.test('answers are whole messages', async (t) => {
  const handshake = new HttpHandshake();
  t.equal(Buffer.from(handshake.openedReply()).toString(), 'HTTP/1.1 200 Connection established\r\n\r\n');
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const [head = '', body = ''] = Buffer.from(handshake.failureReply(code)).toString().split('\r\n\r\n');
    t.match(head, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].httpStatus} [A-Z]`), code);
    t.match(head, `\r\nMixsocks-Error: ${code}\r\n`);
    t.match(head, `\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`);
    t.match(head, '\r\nContent-Type: text/plain');
  }
});

t.test('nothing is read after the end', async (t) => {
  const handshake = new HttpHandshake();
  t.equal(handshake.push(Buffer.from('CONNECT a.example:1 HTTP/1.1\r\n\r\n')).length, 1);
  t.same(handshake.push(Buffer.from('CONNECT a.example:1 HTTP/1.1\r\n\r\n')), []);
});
