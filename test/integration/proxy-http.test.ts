import { createServer } from 'node:http';
import t from 'tap';
import { noteDestination } from '../support/destinations.ts';
import { eventually } from '../support/front-world.ts';
import { httpWorld, rawSite } from '../support/http-site.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

t.test(
  'the site gets the request as it was, without what is for the proxy, and nothing about the client',
  async (t) => {
    const { client } = await httpWorld(t);
    const site = await rawSite(t, (socket) => socket.write(OK));
    const asked = await client();
    asked.send(
      [
        `GET http://127.0.0.1:${site.port}/a?b=c HTTP/1.1`,
        'Host: elsewhere.example',
        'User-Agent: x/1',
        'Accept: */*',
        'Cookie: a=1',
        'X-Hop: secret',
        'Connection: keep-alive, X-Hop',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic YTpi',
        'TE: trailers',
        'Keep-Alive: 5',
        '\r\n',
      ].join('\r\n'),
    );
    t.match(await asked.response('ok'), /^HTTP\/1\.1 200 OK\r\n/);
    t.equal(
      site.requests[0],
      [
        'GET /a?b=c HTTP/1.1',
        `Host: 127.0.0.1:${site.port}`,
        'User-Agent: x/1',
        'Accept: */*',
        'Cookie: a=1',
        'Connection: close',
        '\r\n',
      ].join('\r\n'),
    );
  },
);

t.test('the response comes as it was, without what was for the proxy', async (t) => {
  const { client } = await httpWorld(t);
  const site = await rawSite(t, (socket) =>
    socket.write(
      'HTTP/1.1 203 As It Is\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-Hop: 1\r\nConnection: close, x-hop\r\nKeep-Alive: 3\r\n' +
        'Proxy-Authenticate: Basic\r\nMixsocks-Error: POLICY\r\nDate: yesterday\r\nContent-Length: 2\r\n\r\nok',
    ),
  );
  const asked = (await client()).send(`GET http://127.0.0.1:${site.port}/ HTTP/1.1\r\n\r\n`);
  t.equal(
    await asked.response('ok'),
    'HTTP/1.1 203 As It Is\r\nSet-Cookie: a\r\nset-cookie: b\r\nDate: yesterday\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok',
  );
});

t.test('one connection serves requests for any hosts, each with isolation of its own', async (t) => {
  const { client, pairs } = await httpWorld(t);
  const [one, two] = [await rawSite(t, (socket) => socket.write(OK)), await rawSite(t, (socket) => socket.write(OK))];
  const asked = await client();
  const ask = async (port: number, user: string) => {
    const field = user === '' ? '' : `Proxy-Authorization: Basic ${user}\r\n`;
    asked.send(`\r\n\r\nGET http://localhost:${port}/ HTTP/1.1\r\n${field}\r\n`);
    t.match(await asked.response('ok'), /^HTTP\/1\.1 200/);
    return pairs.opened.at(-1)?.target.isolation;
  };
  const tokens = [
    await ask(one.port, ''),
    await ask(two.port, 'a'),
    await ask(one.port, 'b'),
    await ask(two.port, 'a'),
  ];
  t.equal(new Set(tokens).size, 3);
  t.equal(tokens[1], tokens[3]);
  t.equal(one.requests.length + two.requests.length, 4);
  asked.send(`CONNECT localhost:${one.port} HTTP/1.1\r\n\r\nGET /in-the-tunnel HTTP/1.1\r\n\r\n`);
  t.equal(await asked.upTo('\r\n\r\n'), 'HTTP/1.1 200 Connection established\r\n\r\n');
  t.equal(await asked.upTo('ok'), OK, 'and may become a tunnel');
});

t.test('responses without a body, and with every kind of end, come whole', async (t) => {
  const { client } = await httpWorld(t);
  const responses: Readonly<Record<string, string>> = {
    head: 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n',
    empty: 'HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n',
    unchanged: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "e"\r\n\r\n',
    length: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    chunked:
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 7\r\nAuthorization: no\r\n\r\n',
    close: 'HTTP/1.0 200 OK\r\n\r\nhello',
  };
  const site = await rawSite(t, (socket, request) => {
    const name = /^\w+ \/(\w*)/.exec(request)?.[1] ?? '';
    if (name === 'close') socket.end(responses[name] ?? '');
    else socket.write(responses[name] ?? '');
  });
  const asked = await client();
  const ask = (line: string) =>
    asked.send(`${line.replace(' /', ` http://127.0.0.1:${site.port}/`)}\r\nHost: x\r\n\r\n`);
  t.match(
    await ask('HEAD /head HTTP/1.1').response(''),
    /^HTTP\/1\.1 200 OK\r\nContent-Length: 1234\r\nConnection: keep-alive\r\n\r\n$/,
  );
  t.match(
    await ask('GET /empty HTTP/1.1').response(''),
    /^HTTP\/1\.1 204 No Content\r\nX: 1\r\nConnection: keep-alive\r\n\r\n$/,
  );
  t.match(await ask('GET /unchanged HTTP/1.1').response(''), /^HTTP\/1\.1 304 .*Content-Length: 99\r\n.*ETag: "e"/s);
  t.match(await ask('GET /length HTTP/1.1').response('hello'), /Content-Length: 5\r\n/);
  const chunked = await ask('GET /chunked HTTP/1.1').response('0\r\nX-Sum: 7\r\n\r\n');
  t.match(chunked, /Transfer-Encoding: chunked\r\n.*[25]\r\nhe(\r\n3\r\n)?llo\r\n0\r\n/s);
  t.match(await ask('GET /close HTTP/1.1').response('0\r\n\r\n'), /Transfer-Encoding: chunked\r\n.*5\r\nhello\r\n/s);
  t.equal(asked.text, '', 'nothing behind the last one');
  for (const name of ['chunked', 'close']) {
    const old = (await client()).send(`GET http://127.0.0.1:${site.port}/${name} HTTP/1.0\r\n\r\n`);
    t.equal(await old.ending(), 'end');
    t.match(old.text, /^HTTP\/1\.1 200 OK\r\nConnection: close\r\n\r\nhello$/, `HTTP/1.0, ${name}`);
  }
});

t.test('requests with a body: by length, in chunks with trailers, after 100, refused before it', async (t) => {
  const { client } = await httpWorld(t);
  const site = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => response.end(`${request.method} ${body} ${JSON.stringify(request.trailers)}!`));
  });
  site.on('checkContinue', (request, response) => {
    if (request.url === '/no') response.writeHead(413, { 'Content-Length': 0 }).end();
    else {
      response.writeContinue();
      site.emit('request', request, response);
    }
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  t.teardown(() => site.close());
  const { port } = site.address() as { port: number };
  noteDestination(port);
  const asked = await client();
  const to = (path: string) => `http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: x\r\n`;
  asked.send(`POST ${to('/')}Content-Length: 5\r\n\r\nhello`);
  t.match(await asked.response('!'), /POST hello \{\}!/);
  asked.send(`PUT ${to('/')}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 9\r\n\r\n`);
  t.match(await asked.response('!'), /PUT hello \{"x-sum":"9"\}!/);
  asked.send(`POST ${to('/')}\r\n`);
  t.match(await asked.response('!'), /POST {2}\{\}!/, 'none');
  asked.send(`PUT ${to('/')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  t.equal(await asked.upTo('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  t.match(await asked.send('hello').response('!'), /PUT hello/);
  asked.send(`PUT ${to('/')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nearly`);
  t.match(await asked.upTo('!'), /PUT early/, 'a client that does not wait');
  asked.send(`PUT ${to('/no')}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  t.match(
    await asked.upTo('\r\n\r\n'),
    /^HTTP\/1\.1 413 .*Connection: close/s,
    'whether the body follows is not known',
  );
  t.equal(await asked.ending(), 'end');
});

t.test('an early response reaches a client that is still sending', async (t) => {
  const { client, pairs } = await httpWorld(t);
  const site = await rawSite(t, (socket) => {
    socket.pause();
    socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
  });
  const asked = await client();
  asked.send(`POST http://127.0.0.1:${site.port}/ HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n`);
  asked.raw.socket.write(Buffer.alloc(1_000_000));
  t.match(await asked.response('big'), /^HTTP\/1\.1 413 Too Large/);
  asked.raw.socket.write(Buffer.alloc(2_000_000));
  asked.send(`GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n`);
  t.match(await asked.response('\n'), /^HTTP\/1\.1 502 .*REFUSED/s, 'and the connection goes on');
  t.equal(pairs.opened.length, 2);
});

t.test('a response that breaks never looks complete; what came of it is delivered', async (t) => {
  const { client } = await httpWorld(t);
  const starts: Readonly<Record<string, string>> = {
    length: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello',
    chunk: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello',
    chunks: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    close: 'HTTP/1.1 200 OK\r\n\r\nhello',
  };
  for (const [name, start] of Object.entries(starts)) {
    for (const reset of name === 'close' ? [true] : [false, true]) {
      for (const version of ['1.0', '1.1']) {
        let breakOff = () => {};
        const site = await rawSite(t, (socket) => {
          if (!reset) socket.end(start);
          else socket.write(start);
          breakOff = () => socket.resetAndDestroy();
        });
        const asked = (await client()).send(`GET http://127.0.0.1:${site.port}/ HTTP/${version}\r\n\r\n`);
        if (reset) await asked.raw.until(() => asked.text.includes('hello'));
        if (reset) breakOff();
        const what = `${name} ${reset ? 'reset' : 'ended'}, HTTP/${version}`;
        t.equal(await asked.ending(), 'ECONNRESET', what);
        t.match(asked.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*hello/, what);
        t.notMatch(asked.text, /\r\n0\r\n/, what);
      }
    }
  }
});

t.test('what fails before there is a response has a true status', async (t) => {
  const { client } = await httpWorld(t);
  const ask = async (url: string, more = '') => {
    const asked = (await client()).send(`GET ${url} HTTP/1.1\r\n${more}\r\n`);
    const head = await asked.upTo('\r\n\r\n');
    return `${/ (\d+) /.exec(head)?.[1]} ${/Mixsocks-Error: (\w+)/.exec(head)?.[1]}`;
  };
  const bad = async (bytes: string, reset = false) => {
    const site = await rawSite(t, (socket) => (reset ? socket.resetAndDestroy() : socket.end(bytes)));
    return ask(`http://127.0.0.1:${site.port}/`);
  };
  t.equal(await ask('http://127.0.0.1:1/'), '502 REFUSED');
  t.equal(await ask('http://no-such-name.invalid/'), '404 NOT_FOUND');
  t.equal(await ask('http://169.254.169.254/'), '403 POLICY');
  t.equal(await ask('http://bad_host!/'), '400 ADDRESS_TYPE');
  t.equal(await ask('http://127.0.0.1:0/'), '502 REFUSED');
  t.equal(await ask('https://127.0.0.1/'), '501 COMMAND');
  t.equal(await ask('http://127.0.0.1/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), '501 COMMAND');
  t.equal(await bad('SSH-2.0-OpenSSH\r\n'), '502 MALFORMED', 'no HTTP');
  t.equal(await bad(''), '502 RESET', 'nothing');
  t.equal(await bad('', true), '502 RESET', 'a reset');
  t.equal(await bad('HTTP/1.1 200 OK\r\nConte'), '502 RESET', 'half a header');
  t.equal(await bad('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'), '502 MALFORMED');
  t.equal(await bad('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'), '502 MALFORMED');
  t.equal(await bad('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'), '502 MALFORMED');
  t.equal(await bad('HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n'), '502 MALFORMED', 'a site is not the proxy');
  t.equal(await bad(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`), '502 MALFORMED', 'a header without end');
});

t.test('large bodies pass both ways under backpressure', async (t) => {
  const { client, pairs } = await httpWorld(t);
  const total = 3_000_000;
  const isWhole = (message = '') => message.length - message.indexOf('\r\n\r\n') - 4 >= total;
  const site = await rawSite(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    socket.write(Buffer.alloc(total - 1, 'd'));
    // A request ends with its response, so the response must not be complete before; the kernel's buffers may hold it all.
    void eventually(() => isWhole(site.requests[0])).then(() => socket.write('d'));
  });
  const asked = await client();
  asked.raw.socket.pause();
  asked.send(`PUT http://127.0.0.1:${site.port}/ HTTP/1.1\r\nContent-Length: ${total}\r\n\r\n`);
  asked.raw.socket.write(Buffer.alloc(total, 'u'));
  await eventually(() => isWhole(site.requests[0]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const { near } = pairs.opened[0] ?? {};
  t.ok((near?.maxUnconsumed ?? total) <= 65_536, 'a paused client holds the site back');
  asked.raw.socket.resume();
  await asked.raw.until(() => isWhole(asked.text));
  t.equal(asked.text.split('\r\n\r\n')[1]?.length, total);
});
