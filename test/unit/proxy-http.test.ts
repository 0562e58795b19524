import t from 'tap';
import { ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { answerBytes, failureAnswer } from '../../proxy/front/http/answers.ts';
import { endToEndFields, endToEndTrailers } from '../../proxy/front/http/fields.ts';
import { parseConnectTarget, planRequest, type RequestHeader } from '../../proxy/front/http/plan.ts';

/** The header of a request as Node's parser gives it, for fields without repetitions. */
function header(line: string, fields: Readonly<Record<string, string>> = {}, httpVersion = '1.1'): RequestHeader {
  const [method = '', url = ''] = line.split(' ');
  const lower = Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]);
  return { method, url, httpVersion, headers: Object.fromEntries(lower), rawHeaders: Object.entries(fields).flat() };
}

/** One line: where to and what is sent, or the status of our own answer. */
function plan(...given: Parameters<typeof header>): string {
  const planned = planRequest(header(...given));
  if (planned.kind !== 'forward') return planned.kind === 'answer' ? `${planned.answer.status}` : planned.kind;
  const { host, port, method, path, fields } = planned.forwarded;
  return [`${host} ${port} ${method} ${path}`, ...fields.map(([name, value]) => `${name}: ${value}`)].join(', ');
}

t.test('absolute form: the target says where to, Host is made from it', async (t) => {
  t.equal(plan('GET http://a.example/x?y=1 HTTP/1.1', { Host: 'other' }), 'a.example 80 GET /x?y=1, Host: a.example');
  t.equal(plan('GET HTTP://A.example:8080/x'), 'A.example 8080 GET /x, Host: A.example:8080');
  t.equal(plan('GET http://[2001:db8::1]:81/'), '[2001:db8::1] 81 GET /, Host: [2001:db8::1]:81');
  t.equal(plan('GET http://[2001:db8::1]/'), '[2001:db8::1] 80 GET /, Host: [2001:db8::1]');
  t.equal(plan('GET http://a.example'), 'a.example 80 GET /, Host: a.example');
  t.equal(plan('GET http://a.example?q'), 'a.example 80 GET /?q, Host: a.example');
  t.equal(plan('GET http://a.example/../%2e//x#part'), 'a.example 80 GET /../%2e//x, Host: a.example', 'as it came');
  t.equal(plan('GET http://a.example:/x'), 'a.example 80 GET /x, Host: a.example:', 'an empty port');
  t.equal(plan('GET http://user:word@a.example/x'), 'a.example 80 GET /x, Host: a.example', 'Java sends it');
  t.equal(plan('GET http://a.example/mail@b.example'), 'a.example 80 GET /mail@b.example, Host: a.example');
  t.equal(plan('OPTIONS http://a.example'), 'a.example 80 OPTIONS *, Host: a.example');
  t.equal(plan('OPTIONS http://a.example/'), 'a.example 80 OPTIONS /, Host: a.example');
  for (const bad of ['http://a.example:65536/', 'http://a.example:x/', 'http://[::1/', 'http://2001:db8::1/']) {
    t.equal(plan(`GET ${bad}`), '400', bad);
  }
});

t.test('a request for anything but an http:// URL is refused', async (t) => {
  t.equal(plan('GET https://a.example/'), '501');
  t.equal(plan('GET ftp://a.example/'), '501');
  t.equal(plan('GET /', { Host: '127.0.0.1:1080' }), '405', 'opened in a browser');
  t.equal(plan('GET /', { Host: 'LOCALHOST:1080' }), '405');
  t.equal(plan('GET /', { Host: 'attacker.example:1080' }), 'silence', 'DNS rebinding');
  t.equal(plan('GET /'), 'silence');
  t.equal(plan('OPTIONS *', { Host: 'attacker.example' }), 'silence');
});

t.test('a path that a page of another origin asks for gets silence; a request for a site is not judged', async (t) => {
  const Host = '127.0.0.1:1080';
  for (const line of ['GET /', 'POST /x', 'OPTIONS *', 'HEAD /']) {
    for (const fields of [
      { Host, 'Sec-Fetch-Site': 'cross-site' },
      { Host, 'Sec-Fetch-Site': 'same-site' },
      { Host, Origin: 'null' },
      { Host, Origin: 'http://127.0.0.1:8080' },
      { Host, Referer: 'http://localhost:1080/' },
    ]) {
      t.equal(plan(line, fields), 'silence', `${line} ${JSON.stringify(fields)}`);
    }
    t.equal(plan(line, { Host, 'Sec-Fetch-Site': 'none' }), '405', line);
    t.equal(plan(line, { Host, 'Sec-Fetch-Site': 'same-origin', Referer: `http://${Host}/` }), '405', line);
  }
  const cross = { Host: 'a.example', 'Sec-Fetch-Site': 'cross-site', Origin: 'http://b.example' };
  t.equal(
    plan('GET http://a.example/', cross),
    'a.example 80 GET /, Host: a.example, Sec-Fetch-Site: cross-site, Origin: http://b.example',
  );
  t.equal(plan('GET https://a.example/', cross), '501', 'told, since it is for no path here');
});

t.test('an expectation that nobody meets is refused', async (t) => {
  t.equal(plan('GET http://a/', { Expect: 'wonders' }), '417');
  t.equal(plan('GET /', { Host: 'evil.example', Expect: 'wonders' }), 'silence');
});

t.test('every answer of the port keeps pages of other origins out', async (t) => {
  const text = Buffer.from(answerBytes(failureAnswer('TIMEOUT'))).toString();
  t.match(text, /\r\nCross-Origin-Resource-Policy: same-origin\r\n/);
});

t.test('the body is framed as it came, and never for a method without one', async (t) => {
  const rest = (...given: Parameters<typeof header>) => plan(...given).replace(/^[^,]*, Host: a/, '');
  t.equal(rest('POST http://a/', { 'Content-Length': '5' }), ', Content-Length: 5');
  t.equal(rest('POST http://a/', { 'transfer-encoding': 'Chunked' }), ', Transfer-Encoding: chunked');
  t.equal(rest('POST http://a/'), ', Content-Length: 0');
  t.equal(rest('PROPFIND http://a/'), ', Content-Length: 0');
  t.equal(rest('GET http://a/'), '');
  t.equal(rest('GET http://a/', { 'Content-Length': '5' }), ', Content-Length: 5', 'a GET may have one');
  t.equal(rest('POST http://a/', { 'Transfer-Encoding': 'gzip, chunked' }), '501');
  t.equal(
    rest('PUT http://a/', { 'Content-Length': '5', Expect: '100-continue' }),
    ', Content-Length: 5, Expect: 100-continue',
  );
  t.equal(rest('PUT http://a/', { 'Content-Length': '5', Expect: '100-continue' }, '1.0'), ', Content-Length: 5');
});

t.test('Max-Forwards counts down for OPTIONS and TRACE', async (t) => {
  t.equal(plan('OPTIONS http://a/', { 'Max-Forwards': '0' }), '200');
  t.equal(plan('TRACE http://a/', { 'Max-Forwards': '7' }), 'a 80 TRACE /, Host: a, Max-Forwards: 6');
  t.equal(plan('GET http://a/', { 'Max-Forwards': '0' }), 'a 80 GET /, Host: a, Max-Forwards: 0');
});

t.test('an upgrade is refused, but that to HTTP/2, which may be ignored', async (t) => {
  t.equal(plan('GET http://a/', { Connection: 'Upgrade', Upgrade: 'websocket' }), '501');
  t.equal(plan('GET http://a/', { Connection: 'keep-alive, upgrade', Upgrade: 'h2c, websocket' }), '501');
  const curl = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABk' };
  t.equal(plan('GET http://a/', curl), 'a 80 GET /, Host: a');
  t.equal(plan('GET http://a/', { Upgrade: 'websocket' }), 'a 80 GET /, Host: a', 'not for this connection');
});

t.test('fields of the connection stay here, the others keep order, case and repetitions', async (t) => {
  const raw = [
    ...['Cookie', 'a=1', 'COOKIE', 'b=2', 'Accept', '*/*', 'X-One', '1', 'x-two', '2', 'Content-Length', '5'],
    ...['Connection', 'X-One, close, Content-Length', 'Proxy-Connection', 'keep-alive, X-Two', 'Keep-Alive', '300'],
    ...[
      'TE',
      'trailers',
      'Trailer',
      'X',
      'Upgrade',
      'h2c',
      'Proxy-Authorization',
      'Basic x',
      'Proxy-Authenticate',
      'y',
    ],
    ...['Transfer-Encoding', 'chunked', 'HTTP2-Settings', 'z', 'Authorization', 'Basic site'],
  ];
  const expected = [
    ['Cookie', 'a=1'],
    ['COOKIE', 'b=2'],
    ['Accept', '*/*'],
    ['Content-Length', '5'],
    ['Authorization', 'Basic site'],
  ];
  t.strictSame(endToEndFields(raw), expected);
  t.strictSame(endToEndFields(['A', '1', 'B', '2'], ['b']), [['A', '1']]);
});

t.test('trailers cannot carry what frames, routes or authenticates a message', async (t) => {
  const raw = [
    'X-Sum',
    '1',
    'Content-Length',
    '9',
    'Transfer-Encoding',
    'x',
    'Host',
    'h',
    'Set-Cookie',
    'c',
    'x-more',
    '2',
  ];
  t.strictSame(endToEndTrailers(raw), [
    ['X-Sum', '1'],
    ['x-more', '2'],
  ]);
});

t.test('the target of a CONNECT', async (t) => {
  t.strictSame(parseConnectTarget('example.org:443'), { host: 'example.org', port: 443 });
  t.strictSame(parseConnectTarget('[2001:db8::1]:8443'), { host: '[2001:db8::1]', port: 8443 });
  t.strictSame(parseConnectTarget(':80'), { host: '', port: 80 }, 'left to the destination check');
  for (const bad of ['example.org', 'example.org:', 'a:65536', '2001:db8::1:80', 'http://a.example:80', 'u@a:80', '']) {
    t.equal(parseConnectTarget(bad), undefined, bad);
  }
});

t.test('every failure is a whole message with its code', async (t) => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const [head = '', body = ''] = Buffer.from(answerBytes(failureAnswer(code)))
      .toString()
      .split('\r\n\r\n');
    t.match(head, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].httpStatus} [A-Z]`), code);
    t.match(head, `\r\nMixsocks-Error: ${code}\r\n`);
    t.match(head, `\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`);
    t.match(head, '\r\nContent-Type: text/plain');
    t.match(head, /\r\nConnection: close$/);
  }
});
