/** What becomes of a program whose threads end: compiled code, since threads load no TypeScript. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import type { MixError } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { builtLinks, NETWORK_ID, PACKET_BYTES, targetOf, until } from '../support/link-fixtures.ts';
import { startMiniNetwork } from '../support/mini-network.ts';

const compiled = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href;

/** The threads that this process starts, in order. */
const threads: Worker[] = [];
process.on('worker', (worker) => threads.push(worker));

const WAYS: readonly [string, (thread: Worker) => void][] = [
  ['exits', (thread) => void thread.terminate()],
  ['throws', (thread) => void thread.emit('error', new Error('out of memory'))],
  ['sends what cannot be read', (thread) => void thread.emit('messageerror', new Error('no such class'))],
];

for (const [way, end] of WAYS) {
  t.test(`the thread of a client's link ${way}: the link is closed, and its owner learns it once`, async (t) => {
    const { ClientLink } = await builtLinks();
    const identity = await createIdentity(systemRng);
    threads.length = 0;
    const link = ClientLink.open({
      identity,
      gateway: targetOf(identity.id, 1),
      networkId: NETWORK_ID,
      client: { trafficClass: 'standard', clocked: false },
      packetBytes: PACKET_BYTES,
      keyExchange: 'any',
      log: silentLog,
    });
    const errors: MixError[] = [];
    link.onFailed((error) => errors.push(error));
    await until(() => threads.length === 1);
    end(threads[0] as Worker);
    await until(() => errors.length > 0);
    t.match(errors[0], { code: 'INTERNAL', message: 'thread mixsocks-link failed' });
    await link.stop();
    t.equal(link.state, 'down');
    t.equal(errors.length, 1, 'its end is no second failure');
  });
}

t.test('an order that the link thread cannot carry out ends it, and nothing else', async (t) => {
  const { ClientLink } = await builtLinks();
  const identity = await createIdentity(systemRng);
  threads.length = 0;
  const gateway = targetOf(identity.id, 1);
  const client = { trafficClass: 'standard', clocked: false };
  const options = {
    identity,
    gateway,
    networkId: NETWORK_ID,
    client,
    packetBytes: PACKET_BYTES,
    keyExchange: 'any' as const,
    log: silentLog,
  };
  const link = ClientLink.open(options);
  const errors: MixError[] = [];
  link.onFailed((error) => errors.push(error));
  await until(() => threads.length === 1);
  threads[0]?.postMessage({ order: 'add-lane', lane: 1 });
  await until(() => errors.length > 0);
  t.equal(errors[0]?.code, 'INTERNAL');
  await link.stop();
});

t.test('in a network a lost thread ends its owner alone', async (t) => {
  const network = await startMiniNetwork();
  t.teardown(() => network.stop());

  await t.test('a program whose client loses its thread lives; the client is closed with the error', async (t) => {
    const { MixnetClient } = (await import(compiled('index.js'))) as typeof import('../../index.ts');
    threads.length = 0;
    const client = await MixnetClient.join({ network: network.networkFile });
    t.teardown(() => client.close());
    await until(() => threads.length === 1);
    const stream = client.open({ host: 'example.org', port: 80 });
    const broken = once(stream, 'error');
    const waiting = client.ready();
    void threads[0]?.terminate();
    await t.rejects(waiting, { code: 'INTERNAL', message: /thread mixsocks-link failed/ });
    await broken;
    t.ok(stream.destroyed);
    await t.rejects(client.ready(), { code: 'INTERNAL' });
    await t.rejects(client.resolve('example.org'), { code: 'INTERNAL' });
    t.match(client.status(), { ready: false, obstacle: /thread mixsocks-link failed/ });
    await client.close();
  });

  await t.test('a proxy that loses its thread ends with one line and the exit code of a defect', async (t) => {
    // its thread ends half a second after it starts
    const end = "data:text/javascript,process.on('worker',w=>setTimeout(()=>w.terminate(),500))";
    const listens = ['--socks-listen', '127.0.0.1:0', '--status-listen', '127.0.0.1:0'];
    const common = ['--dir', t.testdir(), '--network-file', network.networkFile, '--log-level', 'silent'];
    const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--import', end, main, 'proxy', ...common, ...listens], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const [code] = await once(child, 'close');
    t.equal(code, 70);
    t.match(said, /^mixsocks proxy: thread mixsocks-[^\n]*failed[^\n]*\n$/);
  });
});
