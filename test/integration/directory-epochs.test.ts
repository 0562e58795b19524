/** Authority and members over many epochs on a virtual clock; requests go straight into the API, files are real. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Api } from '../../directory/api.ts';
import { Archive } from '../../directory/archive.ts';
import type { Authority } from '../../directory/authority.ts';
import { every, type Timer } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import { epochAt } from '../../lib/core/params.ts';
import {
  DirectoryClient,
  type HttpReply,
  type HttpRequest,
  type MakeDescriptor,
  type Topology,
  type Transport,
  Verifier,
} from '../../lib/directory/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { admissionOf, authorityOn, OPEN } from '../support/admission.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { countersigned, crypto, draft, keys, testNetwork } from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const EPOCH_SECONDS = 20;
const EPOCH_MS = EPOCH_SECONDS * 1000;
const ROLES = ['mixnode', 'mixnode', 'mixnode', 'gateway', 'requester'] as const;

/** A network whose time passes only in `run`. */
class World {
  readonly clock = new VirtualClock();
  readonly network = testNetwork(1, 1, EPOCH_SECONDS);
  readonly verifier = new Verifier(this.network, crypto);
  readonly members: { client: DirectoryClient; seen: number[] }[] = [];
  readonly requests: string[] = [];
  readonly statuses: number[] = [];
  authority: Authority | undefined;
  #api: Api | undefined;
  #ticking: Timer | undefined;
  #underWay = 0;

  constructor(readonly dir: string) {}

  get epoch(): number {
    return epochAt(this.clock.wallMs(), EPOCH_MS);
  }

  async startAuthority(): Promise<void> {
    const admission = admissionOf(this.verifier, OPEN, 100, () => this.clock.nowMs());
    const authority = authorityOn(new Archive(this.dir), admission, this.clock);
    await authority.open();
    this.authority = authority;
    this.#api = new Api({ authority, admission, nowMs: () => this.clock.nowMs(), onAnnouncement: () => {} });
    this.#ticking = every(this.clock, 200, () => void authority.tick());
  }

  /** Kills the authority: what is not on disk is lost. */
  async killAuthority(): Promise<void> {
    this.#ticking?.cancel();
    await this.authority?.settle();
    this.#api = undefined;
    this.authority = undefined;
  }

  async join(n: number, makeDescriptor?: MakeDescriptor): Promise<DirectoryClient> {
    const rng = seededRng(500 + n + this.members.length);
    const components = { clock: this.clock, rng, crypto, log: silentLog, metrics: new Metrics() };
    const client = new DirectoryClient({ network: this.network, components, transport: this.#transport() });
    const seen: number[] = [];
    client.onTopology((topology: Topology) => seen.push(topology.epoch));
    await client.start();
    if (makeDescriptor !== undefined) client.announce(makeDescriptor, keys(n).seed);
    this.members.push({ client, seen });
    return client;
  }

  /** Node n of the five that make a network. */
  node(n: number): Promise<DirectoryClient> {
    const role = ROLES[n % 10] ?? 'mixnode';
    const layer = n % 10 < 3 ? { layer: (n % 10) + 1 } : {};
    const gateways = () =>
      role === 'requester' ? { gateways: [countersigned(this.network, n, 3, this.clock.wallMs())] } : {};
    return this.join(n, (epochs) => draft(role, epochs, { name: `node-${n}`, ...layer, ...gateways() }));
  }

  async fiveNodes(): Promise<void> {
    for (let n = 0; n < 5; n++) await this.node(n);
  }

  /** Lets time pass, and everything that is begun in it finish. */
  async run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      do {
        for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
        await this.authority?.settle();
      } while (this.#underWay > 0);
    }
  }

  /** Runs until `ms` after the start of `epoch`. */
  runTo(epoch: number, ms = 0): Promise<void> {
    return this.run(epoch * EPOCH_MS + ms - this.clock.wallMs());
  }

  async stop(): Promise<void> {
    for (const { client } of this.members) await client.stop();
    await this.killAuthority();
  }

  #transport(): Transport {
    return { send: (request, signal) => this.#send(request, signal), close: async () => {} };
  }

  async #send(request: HttpRequest, signal: AbortSignal): Promise<HttpReply> {
    signal.throwIfAborted();
    if (this.#api === undefined) throw new MixError('HOST_UNREACHABLE', 'the authority is down');
    this.#underWay++;
    try {
      const { pathname, searchParams } = new URL(request.url);
      this.requests.push(`${request.method} ${pathname}`);
      const answer = await this.#api.handle({
        method: request.method,
        path: pathname,
        query: searchParams,
        header: (name) => request.headers?.[name],
        body: request.body ?? '',
        address: '192.0.2.1',
      });
      this.statuses.push(answer.status);
      return { status: answer.status, text: answer.body.toString(), bytes: Buffer.from(answer.body) };
    } finally {
      this.#underWay--;
    }
  }
}

async function world(t: Test): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-epochs-'));
  const made = new World(dir);
  t.teardown(async () => {
    await made.stop();
    await rm(dir, { recursive: true, force: true });
  });
  return made;
}

const names = (topology: Topology | undefined) => topology?.nodes.map((node) => node.name).sort();

t.test('ten epochs of 20 seconds: everyone switches exactly at each turn', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  await w.fiveNodes();
  await w.run(2_000);
  const first = w.epoch;
  for (let epoch = first + 1; epoch <= first + 10; epoch++) {
    await w.runTo(epoch, -100);
    t.ok(
      w.members.every(({ client }) => client.topology()?.epoch === epoch - 1),
      'the old one up to the turn',
    );
    await w.runTo(epoch, 100);
    t.ok(
      w.members.every(({ client }) => client.topology()?.epoch === epoch),
      'the new one from it on',
    );
    const topology = w.members[0]?.client.topology();
    t.equal(topology?.nodes.length, 5);
    t.ok(topology?.nodes.every((node) => node.sphinxKey(epochNumber(epoch)) && node.sphinxKey(epochNumber(epoch + 1))));
  }
  for (const { seen } of w.members)
    t.same(
      seen,
      Array.from({ length: 11 }, (_, i) => first + i),
    );
  const posts = w.requests.filter((request) => request.startsWith('POST')).length;
  t.ok(posts <= 5 * 14, `a node announces about once per epoch (${posts} announcements of 5 nodes)`);
  const gets = w.requests.length - posts;
  t.ok(gets <= 5 * 30, `polling is cheap (${gets} requests of 5 members)`);
  t.equal(w.statuses.filter((status) => status === 226).length, 5 * 10, 'each after the first comes as a difference');
});

t.test('a node that has gone is left out one epoch later; one that comes, comes in with the next', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  await w.fiveNodes();
  await w.node(10);
  await w.run(2_000);
  const first = w.epoch;
  // The consensus of the first epoch was signed as soon as the minimums were met.
  await w.runTo(first + 1, 100);
  t.ok(names(w.members[0]?.client.topology())?.includes('node-10'));
  await w.members[5]?.client.stop();
  await w.node(11);
  await w.runTo(first + 2, 100);
  const now = names(w.members[0]?.client.topology());
  t.notOk(now?.includes('node-10'), 'gone');
  t.ok(now?.includes('node-11'), 'come');
  t.equal(now?.length, 6);
});

t.test(
  'the last node of a layer goes: members stay with the last consensus until it expires, then say so',
  async (t) => {
    const w = await world(t);
    await w.startAuthority();
    await w.fiveNodes();
    await w.run(2_000);
    const first = w.epoch;
    await w.members[1]?.client.stop();
    await w.runTo(first + 1, 10_000);
    const client = w.members[0]?.client;
    t.equal(client?.topology()?.epoch, first, 'used beyond its epoch');
    await w.runTo(first + 2, 100);
    t.equal(client?.topology(), undefined, 'not beyond its end');
    const waiting = client?.waitForTopology(60_000);
    await w.node(1);
    await w.run(3_000);
    t.equal((await waiting)?.epoch, first + 2, 'and back as soon as the layer is');
  },
);

t.test('an authority that is down over a turn: the network goes on, and catches up when it is back', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  await w.fiveNodes();
  await w.run(2_000);
  const first = w.epoch;
  await w.runTo(first + 1, -5_000);
  await w.killAuthority();
  await w.runTo(first + 1, 5_000);
  t.ok(w.members.every(({ client }) => client.topology()?.epoch === first));
  await w.startAuthority();
  w.statuses.length = 0;
  await w.run(4_000);
  t.equal(w.statuses.filter((status) => status === 226).length, 5, 'as a difference from what it kept');
  t.ok(
    w.members.every(({ client }) => client.topology()?.epoch === first + 1),
    'a late consensus is taken at once',
  );
  t.equal(w.members[0]?.client.topology()?.nodes.length, 5, 'with everyone');
});

t.test('an authority killed at any moment of the turn serves on and signs no epoch twice', async (t) => {
  for (const beforeMs of [3_300, 1_700, 1_600, 800, 400, 0, -200]) {
    const w = await world(t);
    await w.startAuthority();
    await w.fiveNodes();
    await w.run(2_000);
    const next = w.epoch + 1;
    await w.runTo(next, -beforeMs);
    const before = w.authority?.consensus(epochNumber(next))?.text;
    await w.killAuthority();
    await w.run(300);
    await w.startAuthority();
    if (before !== undefined) t.equal(w.authority?.consensus(epochNumber(next))?.text, before, 'the same bytes');
    await w.runTo(next, 5_000);
    t.ok(
      w.members.every(({ client }) => client.topology()?.epoch === next),
      `killed ${beforeMs} ms before the turn`,
    );
    t.equal(w.members[0]?.client.evidence.length, 0);
    t.equal(w.members[0]?.client.topology()?.nodes.length, 5, 'with everyone');
    await w.stop();
  }
});

t.test('a node restarted within an epoch with the same keys is taken again', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  await w.fiveNodes();
  await w.run(2_000);
  await w.members[3]?.client.stop();
  await w.run(1_000);
  const again = await w.node(3);
  await w.run(2_000);
  t.ok(again.announced);
  t.equal(again.topology()?.byId(keys(3).id)?.name, 'node-3');
});

t.test('a node is told now: what it announces replaces what it announced before', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  await w.fiveNodes();
  let port = 4001;
  const client = await w.join(20, (epochs) => draft('gateway', epochs, { port }));
  await w.run(1_000);
  port = 4002;
  client.announceNow();
  await w.run(1_000);
  const held = await client.fetchDescriptors('gateway');
  const own = held.find((node) => node.identity === keys(20).id);
  t.equal(own?.role === 'gateway' && own.port, 4002);
});

t.test('an announcement that can not be right is not sent, and the next try may be', async (t) => {
  const w = await world(t);
  await w.startAuthority();
  let port = 0;
  const client = await w.join(20, (epochs) => draft('gateway', epochs, { port }));
  await w.run(1_000);
  t.notOk(client.announced);
  t.notOk(w.requests.some((request) => request.startsWith('POST')));
  port = 4002;
  await w.run(3_000);
  t.ok(client.announced);
});
