import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import {
  failure,
  httpConnect,
  LOOPBACK,
  LOOPBACK6,
  login,
  type Row,
  type RowListener,
  RowTools,
  type RowWorld,
  SOCKS4_FAILURE,
  socks4,
  ZERO_BOUND,
} from './front-row-tools.ts';
import { connectRequest, GREETING } from './front-world.ts';
import { closedPort } from './ports.ts';

const ROWS_AT_ONCE = 4;

/** The wire rules, and what is often got wrong about them. */
const WIRE: readonly Row[] = [
  {
    from: 'RFC 1928 section 6',
    says: 'failure replies have their full length, in SOCKS4 too',
    async run(t, tools) {
      const port = await closedPort();
      t.equal(await tools.refusal(LOOPBACK, port), failure(5));
      t.equal(await tools.last(socks4(LOOPBACK, port)), SOCKS4_FAILURE);
    },
  },
  {
    from: 'RFC 1928 section 6',
    says: 'success is told only after the remote connect',
    async run(t, tools) {
      let accepted = 0;
      const site = await tools.site(() => accepted++);
      const raw = await tools.client();
      raw.socket.write(Buffer.concat([GREETING, connectRequest(LOOPBACK, site.port)]));
      t.equal((await raw.bytes(12)).toString('hex'), `0500050000${ZERO_BOUND}`);
      t.equal(accepted, 1, 'the site had the connection by then');
    },
  },
  {
    from: 'RFC 1929 section 2',
    says: 'the answer to a login has version 1',
    async run(t, tools) {
      const raw = await tools.client();
      raw.socket.write(Buffer.concat([Buffer.from([5, 1, 2]), login('alice', 'secret')]));
      t.equal((await raw.bytes(4)).toString('hex'), '05020100');
    },
  },
  {
    from: 'RFC 1929 section 2, and practice',
    says: 'empty user names and passwords are taken',
    async run(t, tools) {
      for (const [user, password] of [
        ['', ''],
        ['alice', ''],
        ['', 'secret'],
      ] as const) {
        const raw = await tools.client();
        raw.socket.write(Buffer.concat([Buffer.from([5, 1, 2]), login(user, password)]));
        t.equal((await raw.bytes(4)).toString('hex'), '05020100', `'${user}' '${password}'`);
      }
    },
  },
  {
    from: 'broken clients, as Tor takes them',
    says: 'a login is taken although none was asked for',
    async run(t, tools) {
      const site = await tools.echo();
      const raw = await tools.client();
      raw.socket.write(Buffer.concat([GREETING, login('u', 'p'), connectRequest(LOOPBACK, site.port)]));
      t.equal((await raw.bytes(14)).toString('hex'), `05000100050000${ZERO_BOUND}`);
    },
  },
  {
    from: 'RFC 1928 sections 3 and 6',
    says: 'what is not known gets its own reply, and the connection ends within ten seconds',
    async run(t, tools) {
      t.equal(await tools.refusal('a.example', 1, 'plain', 2), failure(7), 'BIND');
      t.equal(await tools.refusal('a.example', 1, 'plain', 9), failure(7), 'unknown command');
      t.equal(await tools.last([...GREETING, 5, 1, 0, 2, 1, 1]), `0500${failure(8)}`, 'unknown address type');
      t.equal(await tools.last([5, 2, 1, 3]), '05ff', 'no acceptable method');
      t.equal(await tools.last([4, 2, 0, 80, 127, 0, 0, 1, 0]), SOCKS4_FAILURE, 'BIND of SOCKS4');
      const raw = await tools.client();
      const startMs = performance.now();
      raw.socket.write(Buffer.from([5, 1, 9]));
      await raw.gone();
      t.ok(performance.now() - startMs < 10_000);
    },
  },
  {
    from: 'TCP',
    says: 'messages may come byte by byte, or glued to the next and to data',
    async run(t, tools) {
      const site = await tools.echo();
      const conversations: [string, Buffer, number][] = [
        [
          'SOCKS5',
          Buffer.concat([Buffer.from([5, 1, 2]), login('a', 'b'), connectRequest('localhost', site.port)]),
          14,
        ],
        ['SOCKS4', socks4(LOOPBACK, site.port, 'me\0'), 8],
        ['SOCKS4a', socks4([0, 0, 0, 1], site.port, '\0localhost\0'), 8],
        ['HTTP', Buffer.from(httpConnect('localhost', site.port, 'Host: localhost\r\n')), 39],
      ];
      for (const [name, handshake, replyBytes] of conversations) {
        for (const slow of [true, false]) {
          const raw = await tools.client();
          const all = Buffer.concat([handshake, Buffer.from('early')]);
          if (!slow) raw.socket.write(all);
          for (const byte of slow ? all : []) {
            raw.socket.write(Buffer.from([byte]));
            await new Promise(setImmediate);
          }
          await raw.bytes(replyBytes);
          await raw.until(() => /^>e.*l.*y$/.test(raw.received.toString()));
          t.equal(raw.received.toString().replaceAll('>', ''), 'early', `${name} ${slow ? 'byte by byte' : 'glued'}`);
          raw.socket.destroy();
        }
      }
    },
  },
  {
    from: 'RFC 1928 section 5; RFC 1123 section 2.1',
    says: 'host names end where their length says, and are checked',
    async run(t, tools) {
      for (const bad of ['', 'a\0b.example', 'a\nb.example', 'user@example.org', 'a b.example', 'a..example']) {
        t.equal(await tools.refusal(bad, 80), failure(8), JSON.stringify(bad));
      }
      t.equal(await tools.refusal('a'.repeat(255), 80), failure(8), '255 bytes are read, then refused');
      t.equal(await tools.refusal(`${'a'.repeat(60)}.`.repeat(4).slice(0, 240), 80), failure(4), '240 are asked for');
      t.equal(await tools.last(socks4([0, 0, 0, 1], 80, '\0user@example.org\0')), SOCKS4_FAILURE);
    },
  },
  {
    from: 'RFC 1928 section 6',
    says: 'the bound address of a CONNECT is zeros of the right family: the address of the exit is not told',
    async run(t, tools) {
      const [site, site6] = [await tools.echo(), await tools.echo('::1')];
      const replies: [number[], number, string][] = [
        [LOOPBACK, site.port, `050000${ZERO_BOUND}`],
        [LOOPBACK6, site6.port, `05000004${'0'.repeat(36)}`],
      ];
      for (const [host, port, reply] of replies) {
        const raw = await tools.client();
        raw.socket.write(Buffer.concat([GREETING, connectRequest(host, port)]));
        await raw.bytes(2);
        t.equal((await raw.bytes(reply.length / 2)).toString('hex'), reply);
      }
    },
  },
  {
    from: 'RFC 1928 section 6',
    says: 'every failure has its code, in every protocol',
    async run(t, tools) {
      const closed = await closedPort();
      const table: [string, string, number, RowListener, number, number][] = [
        ['closed port', 'localhost', closed, 'plain', 5, 502],
        ['no such name', 'no-such-name.invalid', 80, 'plain', 4, 404],
        ['private', 'localhost', closed, 'strict', 2, 403],
        ['onion', 'abcdefghij.onion', 80, 'strict', 2, 403],
        ['mDNS', 'printer.local', 80, 'strict', 2, 403],
        ['one label', 'intranet', 80, 'strict', 2, 403],
        ['metadata', '169.254.169.254', 80, 'plain', 2, 403],
        ['no port', 'localhost', 0, 'plain', 5, 502],
        ['malformed', 'bad_host!', 80, 'plain', 8, 400],
      ];
      for (const [what, host, port, listener, reply, status] of table) {
        t.equal(await tools.refusal(host, port, listener), failure(reply), what);
        const answer = Buffer.from(await tools.last(httpConnect(host, port), listener), 'hex').toString();
        t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} .*\r\nMixsocks-Error: [A-Z_]+\r\n`, 's'), what);
        t.equal(await tools.last(socks4([0, 0, 0, 1], port, `\0${host}\0`), listener), SOCKS4_FAILURE, what);
      }
      t.equal(await tools.refusal('no-such-name.invalid', 80, 'extended'), failure(0xf5), 'extended');
      t.equal(await tools.refusal('localhost', closed, 'extended'), failure(5), 'where RFC 1928 has a code, it stays');
    },
  },
  {
    from: 'TCP (RFC 9293 section 3.6)',
    says: 'who has sent its FIN still gets the answer',
    async run(t, tools) {
      const site = await tools.site((socket) => {
        const parts: Buffer[] = [];
        socket.on('data', (bytes) => parts.push(bytes));
        socket.on('end', () => setTimeout(() => socket.end(`got ${Buffer.concat(parts)}`), 50));
      });
      const raw = await tools.client();
      raw.socket.end(Buffer.concat([GREETING, connectRequest(LOOPBACK, site.port), Buffer.from('request')]));
      t.equal((await raw.rest()).subarray(12).toString(), 'got request');
    },
  },
];

/** What the clients that people use need besides. */
const CLIENTS: readonly Row[] = [
  {
    from: 'Chromium',
    says: 'offers method 0 only, sends every host as a name, reads five bytes first and wants the reserved byte zero',
    async run(t, tools) {
      const [site, site6] = [await tools.echo(), await tools.echo('::1')];
      const hosts: [string, number][] = [
        ['127.0.0.1', site.port],
        ['localhost', site.port],
        ['::1', site6.port],
      ];
      for (const [host, port] of hosts) {
        const raw = await tools.client();
        raw.socket.write(GREETING);
        t.equal((await raw.bytes(2)).toString('hex'), '0500', host);
        raw.socket.write(connectRequest(host, port));
        t.match((await raw.bytes(5)).toString('hex'), /^050000(01|04)00$/, host);
      }
    },
  },
  {
    from: 'Chromium',
    says: 'an address sent as a name goes through the address policy, and does not count as safe',
    async run(t, tools) {
      for (const host of ['127.0.0.1', '::1', '::ffff:10.0.0.1', '0x7f.1', '[::1]']) {
        t.equal(await tools.refusal(host, 80, 'strict'), failure(2), host);
      }
      t.equal(await tools.refusal('93.184.216.34', 80, 'safe'), failure(2), 'as name');
      t.equal(await tools.refusal([93, 184, 216, 34], 80, 'safe'), failure(2), 'as address');
      t.equal(await tools.last(socks4([93, 184, 216, 34], 80), 'safe'), SOCKS4_FAILURE, 'SOCKS4 knows nothing else');
      t.equal(await tools.refusal('no-such-name.invalid', 80, 'safe'), failure(4), 'a name is fine');
    },
  },
  {
    from: 'Firefox',
    says: 'takes reply 4 for an unknown name; with remote DNS in version 4 it speaks SOCKS4a',
    async run(t, tools) {
      t.equal(await tools.refusal('no-such-name.invalid', 443), failure(4));
      const site = await tools.echo();
      const raw = await tools.client();
      raw.socket.write(socks4([0, 0, 0, 1], site.port, 'firefox\0localhost\0'));
      t.equal((await raw.bytes(8)).toString('hex'), '005a000000000000');
      raw.socket.write('hello');
      t.equal((await raw.bytes(6)).toString(), '>hello');
    },
  },
  {
    from: 'curl',
    says: 'wants eight bytes before it reads the reply; offers 0 and 2 with credentials; sends an empty password',
    async run(t, tools) {
      const raw = await tools.client();
      raw.socket.write(Buffer.from([5, 2, 0, 2]));
      t.equal((await raw.bytes(2)).toString('hex'), '0502', 'the login is preferred: it isolates');
      raw.socket.write(login('alice', ''));
      t.equal((await raw.bytes(2)).toString('hex'), '0100');
      raw.socket.write(connectRequest('localhost', await closedPort()));
      t.equal((await raw.rest()).toString('hex'), failure(5));
    },
  },
  {
    from: 'undici',
    says: 'waits five seconds for the reply to a request',
    async run(t, tools) {
      const site = await tools.echo();
      const seconds: number[] = [];
      while (seconds.length < 5 && seconds.every((one) => one >= 5)) {
        const raw = await tools.client();
        const startMs = performance.now();
        raw.socket.write(Buffer.concat([GREETING, connectRequest('localhost', site.port)]));
        await raw.bytes(12);
        seconds.push((performance.now() - startMs) / 1000);
      }
      // The best of a few: a busy machine may be late once.
      t.ok(Math.min(...seconds) < 5, seconds.join(', '));
    },
  },
  {
    from: 'npm socks',
    says: 'speaks 4, 4a and 5',
    async run(t, tools) {
      const site = await tools.echo();
      const requests = [
        socks4(LOOPBACK, site.port),
        socks4([0, 0, 0, 1], site.port, '\0localhost\0'),
        Buffer.concat([Buffer.from([5, 1, 0]), connectRequest(LOOPBACK, site.port)]),
      ];
      for (const request of requests) {
        const raw = await tools.client();
        raw.socket.write(request);
        await raw.bytes(request[0] === 4 ? 8 : 12);
        raw.socket.write('hello');
        t.equal((await raw.bytes(6)).toString(), '>hello');
      }
    },
  },
  {
    from: 'pip, npm, docker and others with http_proxy',
    says: 'tunnel through CONNECT; nothing stands between the answer and the data',
    async run(t, tools) {
      const site = await tools.echo();
      const raw = await tools.client();
      raw.socket.write(httpConnect('localhost', site.port, 'Proxy-Authorization: Basic YTpi\r\nUser-Agent: x\r\n'));
      const head = (await raw.bytes(39)).toString();
      t.equal(head, 'HTTP/1.1 200 Connection established\r\n\r\n');
      raw.socket.write('hello');
      t.equal((await raw.bytes(6)).toString(), '>hello');
    },
  },
  {
    from: 'a browser with this port as its HTTP proxy, or opened on it',
    says: 'gets a page that says what to do; a page that asks through DNS rebinding gets nothing',
    async run(t, tools) {
      const ask = async (text: string) => Buffer.from(await tools.last(text), 'hex').toString();
      t.match(
        await ask('GET https://example.org/ HTTP/1.1\r\nConnection: close\r\n\r\n'),
        /^HTTP\/1\.1 501 .*CONNECT/s,
      );
      t.match(await ask('GET / HTTP/1.1\r\nHost: 127.0.0.1:1080\r\n\r\n'), /^HTTP\/1\.1 405 .*SOCKS/s);
      t.equal(await ask('GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n'), '');
    },
  },
  {
    from: 'clients that are slow to read',
    says: 'the reply and what follows it wait for them',
    async run(t, tools) {
      const site = await tools.site((socket) => socket.end('banner'));
      const raw = await tools.client();
      raw.socket.pause();
      raw.socket.write(Buffer.concat([GREETING, connectRequest('localhost', site.port)]));
      await sleep(tools.world.patienceMs);
      raw.socket.resume();
      t.equal((await raw.rest()).subarray(12).toString(), 'banner');
    },
  },
];

/** The rows of connections. */
export const FRONT_ROWS: readonly Row[] = [...WIRE, ...CLIENTS];

/** Runs every row as a test of its own, some at once: mostly they wait for answers. */
export async function runRows(t: Test, world: RowWorld, rows: readonly Row[] = FRONT_ROWS): Promise<void> {
  t.jobs = ROWS_AT_ONCE;
  const run = (row: Row) => (t: Test) => row.run(t, new RowTools(t, world));
  await Promise.all(rows.map((row) => t.test(`${row.from}: ${row.says}`, { buffered: true }, run(row))));
}
