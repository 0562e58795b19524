/** The member's side against authorities that answer as they please, on a virtual clock. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import { httpTransport } from '../../lib/directory/client/http-transport.ts';
import { parseDescriptorList } from '../../lib/directory/documents.ts';
import { MAX_NODES, timing } from '../../lib/directory/index.ts';
import { type Answer, absent, bench, epochAsked, willing } from '../support/directory-bench.ts';
import { closedPort } from '../support/ports.ts';
import { draft, epochOf, keys, outcome, records, signedConsensus, testNetwork } from '../support/signed-documents.ts';

const EPOCH_MS = 60_000;

t.test('a member without a consensus asks more and more seldom, with jitter', async (t) => {
  const b = bench(t, testNetwork(), { 'authority-0.test': absent });
  await b.client.start();
  await b.run(120_000);
  const gaps = b.asked.slice(1).map(({ atMs }, i) => atMs - (b.asked[i]?.atMs ?? 0));
  t.ok((gaps[0] ?? 0) < 500, 'soon at first');
  t.ok(Math.max(...gaps) <= 1_500 + 100, 'at most a fortieth of an epoch apart');
  t.ok(new Set(gaps.slice(-20)).size > 3, 'not in step with others');
});

t.test('authorities are asked in turn: one that is down, one that lies, one that is right', async (t) => {
  const network = testNetwork(3, 1);
  const b = bench(t, network, {
    'authority-1.test': (request) => ({ status: 200, text: signedConsensus(network, epochAsked(request) - 1) }),
    'authority-2.test': willing(network, 1002),
  });
  await b.client.start();
  for (let i = 0; i < 4; i++) {
    await b.run(i === 0 ? 100 : EPOCH_MS);
    t.equal(b.client.topology()?.epoch, b.epoch);
  }
  t.match(await b.metrics.text(), /directory_exchanges_total\{result="refused"\} \d/, 'it was asked, and refused');
  t.equal(new Set(b.asked.map(({ url }) => new URL(url).host)).size, 3);
});

t.test('an authority that gives the present consensus for the next one is asked more and more seldom', async (t) => {
  const network = testNetwork();
  const b = bench(t, network, {
    // an end to the loop that must not be
    'authority-0.test': (request, signal) =>
      b.asked.length > 200 ? absent(request, signal) : { status: 200, text: signedConsensus(network, b.epoch) },
  });
  await b.client.start();
  await b.run(EPOCH_MS + 1_000);
  const next = b.asked.filter(({ atMs, url }) => Number(url.split('/').at(-1)) > epochOf(network, atMs));
  t.ok(next.length > 2 && next.length < 20, `${next.length} times in an epoch`);
  t.equal(b.client.topology()?.epoch, b.epoch, 'what is in force stays right');
});

t.test('a stranger who answers for the authority is not believed; the member waits and says why', async (t) => {
  const network = testNetwork();
  const b = bench(t, network, { 'authority-0.test': willing(network, 7) });
  await b.client.start();
  const waiting = b.client.waitForTopology(5_000);
  await Promise.all([
    t.rejects(waiting, { code: 'NO_CONSENSUS', message: /no authority of network.json has signed it/ }),
    b.run(6_000),
  ]);
  t.equal(b.warnings.length, 1, 'said once, not with every attempt');
  t.match(await b.metrics.text(), /directory_exchanges_total\{result="refused"\} \d/);
});

t.test('two authorities that signed different documents: found by asking the other, kept and reported', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-client-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const network = testNetwork(2, 1);
  const fewer = (epoch: number) => ({ nodes: records(epoch).slice(0, 4) });
  const b = bench(
    t,
    network,
    { 'authority-0.test': willing(network, 1000), 'authority-1.test': willing(network, 1001, fewer) },
    join(dir, 'consensus.json'),
  );
  await b.client.start();
  await b.run(100);
  const nodes = b.client.topology()?.nodes.length;
  const { epoch } = b;
  await b.run(EPOCH_MS / 2);
  t.equal(b.client.evidence[0]?.epoch, epoch);
  t.equal(b.client.topology()?.nodes.length, nodes, 'the first stays in use');
  t.ok(b.warnings.some((line) => line.includes('two consensuses')));
  await b.client.stop();
  const kept = JSON.parse(await readFile(join(dir, `evidence-${epoch}.json`), 'utf8')) as { documents: string[] };
  t.equal(kept.documents.length, 2);
});

t.test('authorities that agree are compared at the price of one header', async (t) => {
  const network = testNetwork(2, 1);
  const b = bench(t, network, {
    'authority-0.test': willing(network, 1000),
    'authority-1.test': willing(network, 1001),
  });
  await b.client.start();
  await b.run(EPOCH_MS / 2 + 1000);
  const audits = b.asked.filter(({ etag }) => etag !== undefined);
  t.equal(audits.length, 1);
  t.not(new URL(audits[0]?.url ?? '').host, new URL(b.asked[0]?.url ?? '').host, 'another authority');
  t.equal(b.client.evidence.length, 0);
});

t.test('an authority that does not answer is given up after a while', async (t) => {
  const network = testNetwork(2, 1);
  const silent: Answer = (_request, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const b = bench(t, network, { 'authority-0.test': silent, 'authority-1.test': silent });
  await b.client.start();
  await b.run(timing.exchangeTimeoutMs(EPOCH_MS) + 200);
  t.equal(b.asked.length, 2, 'the next one is asked');
  await b.client.stop();
  t.equal(b.clock.pending, 0, 'stopping leaves no timer');
});

t.test('stop while waiting: waiters are told, nothing is left', async (t) => {
  const b = bench(t, testNetwork(), { 'authority-0.test': absent });
  await b.client.start();
  b.client.announce((epochs) => draft('gateway', epochs), keys(3).seed);
  const waiting = b.client.waitForTopology(60_000);
  await b.run(500);
  await Promise.all([t.rejects(waiting, { code: 'NO_CONSENSUS' }), b.client.stop()]);
  await t.rejects(b.client.waitForTopology(60_000), { code: 'NO_CONSENSUS', message: /has stopped/ });
  b.client.announceNow();
  t.equal(b.clock.pending, 0);
});

t.test('the cache: used when good, refused when forged, damaged, expired or of another network', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-client-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const cacheFile = join(dir, 'consensus.json');
  const network = testNetwork();
  const first = bench(t, network, { 'authority-0.test': willing(network) }, cacheFile);
  await first.client.start();
  await first.run(100);
  await first.client.stop();
  t.equal((await stat(cacheFile)).mode & 0o777, 0o600);
  const good = await readFile(cacheFile, 'utf8');
  const started = async (of = network, aheadMs = 0) => {
    const b = bench(t, of, {}, cacheFile);
    b.clock.advance(aheadMs);
    await b.client.start();
    const { epoch } = b.client.topology() ?? {};
    await b.client.stop();
    return epoch;
  };
  t.equal(await started(), first.epoch);
  t.equal(await started(network, EPOCH_MS), first.epoch, 'also in the epoch after');
  t.equal(await started(network, 2 * EPOCH_MS), undefined, 'not longer');
  t.equal(await started({ ...network, name: 'other' }), undefined);
  await writeFile(cacheFile, good.replace('mix-1-1', 'mix-9-9'));
  t.equal(await started(), undefined, 'signatures are checked on the cache too');
  await writeFile(cacheFile, good.slice(0, -20));
  t.equal(await started(), undefined);
});

t.test('a listener that throws does not stop the others, nor the client', async (t) => {
  const network = testNetwork();
  const b = bench(t, network, { 'authority-0.test': willing(network) });
  const seen: number[] = [];
  b.client.onTopology(() => {
    throw new Error('listener');
  });
  const unsubscribe = b.client.onTopology((topology) => seen.push(topology.epoch));
  await b.client.start();
  const { epoch } = b;
  await b.run(EPOCH_MS + 1000);
  t.same(seen, [epoch, epoch + 1]);
  unsubscribe();
  await b.run(EPOCH_MS);
  t.same(seen, [epoch, epoch + 1]);
});

t.test('a member that slept through epochs catches up when it wakes', async (t) => {
  const network = testNetwork();
  const b = bench(t, network, { 'authority-0.test': willing(network) });
  await b.client.start();
  await b.run(1000);
  b.clock.advance(50 * EPOCH_MS);
  await b.run(500);
  t.equal(b.client.topology()?.epoch, b.epoch);
});

t.test('descriptors that do not verify are left out of the list', async (t) => {
  const network = testNetwork();
  const b = bench(t, network, {
    'authority-0.test': () => ({ status: 200, text: '{"descriptors":[{"payload":"{}","signatures":[]},7]}' }),
  });
  t.same(await b.client.fetchDescriptors(), []);
  const bad = bench(t, network, { 'authority-0.test': () => ({ status: 200, text: '[]' }) });
  await t.rejects(bad.client.fetchDescriptors(), { code: 'NO_CONSENSUS' });
});

t.test('a list of more descriptors than a network has nodes is refused unread', async (t) => {
  const listOf = (count: number) => `{"descriptors":[${Array.from({ length: count }, () => '{}').join(',')}]}`;
  t.equal(parseDescriptorList(listOf(MAX_NODES)).length, MAX_NODES);
  t.equal(
    outcome(() => parseDescriptorList(listOf(MAX_NODES + 1))),
    'malformed',
  );
});

t.test('HTTP: an endless answer is cut off, redirects are not followed, a closed port is named', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/endless') {
      const pour = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', pour);
      pour();
    } else response.writeHead(302, { location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = httpTransport();
  const { signal } = new AbortController();
  const get = (url: string) => transport.send({ method: 'GET', url, maxBytes: 100_000 }, signal);
  await t.rejects(get(`${base}/endless`), { code: 'LIMIT', message: /sends more than 100000 bytes/ });
  t.equal((await get(`${base}/moved`)).status, 302);
  const late = new AbortController();
  late.abort(new MixError('TIMEOUT', 'too late'));
  await t.rejects(transport.send({ method: 'GET', url: `${base}/endless`, maxBytes: 1 }, late.signal), {
    code: 'TIMEOUT',
  });
  server.closeAllConnections();
  server.close();
  await t.rejects(get(`http://127.0.0.1:${await closedPort()}`), { code: 'HOST_UNREACHABLE', message: /ECONNREFUSED/ });
  await transport.close();
});

t.test(
  'HTTP: what is asked over a connection that the authority has just closed is asked again over another',
  async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    let connections = 0;
    let isGone = false;
    const server = createTcpServer((socket) => {
      connections++;
      let asked = 0;
      // As of a server that closes unused connections: the first answer, and then a reset.
      socket.on('data', () => (isGone || asked++ > 0 ? socket.resetAndDestroy() : socket.write(answer)));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const transport = httpTransport();
    const get = () => transport.send({ method: 'GET', url, maxBytes: 10 }, new AbortController().signal);
    for (let i = 1; i <= 3; i++) {
      t.equal((await get()).text, 'ok');
      t.equal(connections, i);
      await new Promise((resolve) => setImmediate(resolve)); // its connection is unused now
    }
    isGone = true;
    await t.rejects(get(), { code: 'HOST_UNREACHABLE', message: /ECONNRESET/ });
    t.equal(connections, 4, 'a new connection is tried once');
    await transport.close();
    await new Promise((resolve) => server.close(resolve));
  },
);
