import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { SocksClient } from 'socks';
import t, { type Test } from 'tap';
import { request, Socks5ProxyAgent } from 'undici';
import {
  connectRequest,
  eventually,
  GREETING,
  RawClient,
  serve,
  startWorld,
  type WorldOptions,
} from '../support/front-world.ts';
import { closedPort } from '../support/ports.ts';

async function world(t: Test, options: WorldOptions = {}) {
  const started = await startWorld(options);
  t.teardown(() => started.stop());
  const connected = async (port: number, host: string | number[] = [127, 0, 0, 1]) => {
    const raw = await RawClient.connect(started.port);
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(Buffer.concat([GREETING, connectRequest(host, port)]));
    t.equal((await raw.bytes(12)).subarray(0, 4).toString('hex'), '05000500');
    return raw;
  };
  return { ...started, connected };
}

async function web(t: Test, handler: RequestListener, host = '127.0.0.1') {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

interface CurlResult {
  readonly code: number;
  readonly body: Buffer;
  readonly error: string;
}

function curl(...args: string[]): Promise<CurlResult> {
  const options = { encoding: 'buffer' as const, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile('curl', ['-sS', '--max-time', '30', ...args], options, (error, body, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, body, error: stderr.toString() });
    });
  });
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

t.test('curl works through the proxy in each of its ways', async (t) => {
  const { port, front } = await world(t);
  const big = Buffer.alloc(5_000_000, 'mixsocks');
  const site = await web(t, (request, response) => {
    if (request.url === '/big') return void response.end(big);
    if (request.method !== 'POST') return void response.end(`hello ${request.headers.host}`);
    const hash = createHash('sha256');
    request.on('data', (bytes) => hash.update(bytes));
    request.on('end', () => response.end(hash.digest('hex')));
  });
  const proxy = ['-x', `socks5h://127.0.0.1:${port}`];

  await t.test('sites are reached by name, by address and with credentials', async (t) => {
    for (const host of ['localhost', '127.0.0.1', 'LOCALHOST.']) {
      t.match((await curl(...proxy, `http://${host}:${site}/`)).body.toString(), /^hello /, host);
    }
    const login = ['-x', `socks5h://alice:@127.0.0.1:${port}`];
    t.match((await curl(...login, `http://localhost:${site}/`)).body.toString(), /^hello /, 'empty password');
  });

  await t.test('a download and an upload pass at once', async (t) => {
    const [down, up] = await Promise.all([
      curl(...proxy, `http://localhost:${site}/big`),
      curl(...proxy, '-H', 'Expect:', '--data-binary', '@package-lock.json', `http://localhost:${site}/post`),
    ]);
    t.equal(sha256(down.body), sha256(big));
    const { readFileSync } = await import('node:fs');
    t.equal(up.body.toString(), sha256(readFileSync('package-lock.json')));
  });

  await t.test('ten connections at a time do not disturb each other', async (t) => {
    const results = await Promise.all(Array.from({ length: 10 }, () => curl(...proxy, `http://localhost:${site}/`)));
    t.same(new Set(results.map(({ body }) => body.toString())), new Set([`hello localhost:${site}`]));
  });

  await t.test('failures have their codes', async (t) => {
    const fails = async (url: string, reply: number) => {
      const { code, error } = await curl(...proxy, url);
      t.equal(code, 97, url);
      t.match(error, `(${reply})`, url);
    };
    await fails(`http://127.0.0.1:${await closedPort()}/`, 5);
    await fails('http://no-such-name.invalid/', 4);
    await fails('http://169.254.169.254/', 2);
    await fails('http://[fe80::1]/', 2);
  });

  await eventually(() => front.streams().open === 0);
  t.match(front.streams(), { refused: { REFUSED: 1, NOT_FOUND: 1, POLICY: 2 } });
});

t.test('npm socks and undici work through the proxy', async (t) => {
  const { port } = await world(t);
  const site = await web(t, (_request, response) => void response.end('hello'));
  const site6 = await web(t, (_request, response) => void response.end('hello six'), '::1');

  await t.test('npm socks opens a connection', async (t) => {
    const proxy = { host: '127.0.0.1', port, type: 5 as const };
    for (const [host, sitePort] of [
      ['localhost', site],
      ['127.0.0.1', site],
      ['::1', site6],
    ] as const) {
      const { socket } = await SocksClient.createConnection({
        proxy,
        command: 'connect',
        destination: { host, port: sitePort },
      });
      const raw = new RawClient(socket);
      socket.resume();
      socket.write('GET / HTTP/1.0\r\n\r\n');
      t.match((await raw.rest()).toString(), /hello/, host);
      socket.destroy();
    }
    const refused = SocksClient.createConnection({
      proxy,
      command: 'connect',
      destination: { host: '127.0.0.1', port: 1 },
    });
    await t.rejects(refused, /ConnectionRefused/);
    const bind = new SocksClient({ proxy, command: 'bind', destination: { host: '0.0.0.0', port: 0 } });
    const failed = new Promise((_resolve, reject) => bind.on('error', reject));
    bind.connect();
    await t.rejects(failed, /CommandNotSupported/);
  });

  await t.test('undici sends requests', async (t) => {
    const dispatcher = new Socks5ProxyAgent(`socks5://127.0.0.1:${port}`);
    const { body } = await request(`http://localhost:${site}/`, { dispatcher });
    t.equal(await body.text(), 'hello');
    await dispatcher.close();
  });
});

t.test('half-close: the answer comes after our FIN', async (t) => {
  const { connected, egress } = await world(t);
  const site = await serve((socket) => {
    let request = '';
    socket.on('data', (bytes) => {
      request += bytes;
    });
    socket.on('end', () => socket.end(request.toUpperCase()));
  });
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  raw.socket.end('everything');
  t.equal((await raw.rest()).toString(), 'EVERYTHING');
  await raw.closed;
  await eventually(() => egress.counts().active === 0);
});

t.test('half-close: the site ends first', async (t) => {
  const { connected } = await world(t);
  let got = '';
  let finished: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const site = await serve((socket) => {
    socket.end('banner');
    socket.on('data', (bytes) => {
      got += bytes;
    });
    socket.on('end', finished);
  });
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  t.equal((await raw.rest()).toString(), 'banner');
  raw.socket.end('goodbye');
  await done;
  t.equal(got, 'goodbye');
});

t.test('reset by the site reaches the application', async (t) => {
  const { connected } = await world(t);
  const site = await serve((socket) => socket.on('data', () => socket.resetAndDestroy()));
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  raw.socket.write('x');
  await raw.closed;
  t.equal(raw.error?.code, 'ECONNRESET');
});

t.test('reset by the application reaches the site', async (t) => {
  const { connected, egress } = await world(t);
  let failed: (error: Error & { code?: string }) => void = () => {};
  const failure = new Promise<Error & { code?: string }>((resolve) => {
    failed = resolve;
  });
  const site = await serve((socket) => {
    socket.on('error', failed);
    socket.write('hello');
  });
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  await raw.bytes(5);
  raw.socket.resetAndDestroy();
  t.equal((await failure).code, 'ECONNRESET');
  await eventually(() => egress.counts().active === 0);
});

t.test('a site that answers early and closes over unread bytes: the answer arrives', async (t) => {
  const { connected, egress } = await world(t, { pairs: { windowBytes: 20_000, pieceBytes: 500 } });
  const answer = Buffer.alloc(50_000, 'too large ');
  const site = await serve((socket) => {
    socket.pause();
    socket.end(answer);
  });
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  raw.socket.write(Buffer.alloc(1_000_000));
  const first = await raw.bytes(1);
  for (const socket of site.sockets) socket.destroy();
  t.equal(sha256(Buffer.concat([first, await raw.rest()])), sha256(answer));
  raw.socket.end();
  await eventually(() => egress.counts().active === 0);
});

t.test('data sent before the connection stands is not lost', async (t) => {
  const { port } = await world(t);
  const site = await serve((socket) => socket.pipe(socket));
  t.teardown(() => site.close());
  const raw = await RawClient.connect(port);
  const early = Buffer.alloc(100_000, 'early');
  raw.socket.write(Buffer.concat([GREETING, connectRequest('localhost', site.port), early]));
  raw.socket.end();
  const all = await raw.rest();
  t.equal(sha256(all.subarray(12)), sha256(early));
});

t.test('a reader that stops stops the sender', async (t) => {
  const windowBytes = 500_000;
  const { connected, pairs } = await world(t, {
    pairs: { windowBytes, highWaterBytes: windowBytes, pieceBytes: 65_536 },
  });
  const total = 40_000_000;
  let sent = 0;
  const site = await serve((socket) => {
    const chunk = Buffer.alloc(1_000_000);
    const pump = () => {
      while (sent < total && socket.write(chunk)) sent += chunk.byteLength;
      if (sent >= total) socket.end();
    };
    socket.on('drain', () => {
      sent += chunk.byteLength;
      pump();
    });
    pump();
  });
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  raw.socket.pause();
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  t.ok(sent < total / 2, `the site was stopped after ${sent} bytes`);
  const near = pairs.opened[0]?.near;
  t.ok((near?.maxUnconsumed ?? 0) <= windowBytes, 'and the window held');
  let received = raw.receivedBytes;
  raw.socket.removeAllListeners('data');
  raw.socket.on('data', (bytes) => {
    received += bytes.byteLength;
  });
  raw.socket.resume();
  await raw.until(() => raw.ended);
  t.equal(received, total);
});

t.test('a site that stops reading stops the application', async (t) => {
  const { connected } = await world(t);
  const site = await serve((socket) => socket.pause());
  t.teardown(() => site.close());
  const raw = await connected(site.port);
  const chunk = Buffer.alloc(1_000_000);
  let written = 0;
  raw.socket.on('drain', () => {
    written += chunk.byteLength;
    raw.socket.write(chunk);
  });
  raw.socket.write(chunk);
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  t.ok(written < 40_000_000, `stopped after ${written} bytes`);
});

t.test('twenty in a row leave nothing behind', async (t) => {
  const { port, egress, front } = await world(t);
  const site = await serve((socket) => socket.end('x'));
  t.teardown(() => site.close());
  for (let i = 0; i < 20; i++) {
    const socket = connect({ port, host: '127.0.0.1' });
    const raw = new RawClient(socket);
    socket.write(Buffer.concat([GREETING, connectRequest([127, 0, 0, 1], site.port)]));
    t.equal((await raw.rest()).byteLength, 13);
    await raw.closed;
  }
  await eventually(() => front.streams().connections === 0 && egress.counts().active === 0);
  t.match(front.streams(), { open: 0, opened: 20 });
});
