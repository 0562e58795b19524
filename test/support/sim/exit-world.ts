/**
 * Exits with many clients, on the virtual clock: the real hubs of both ends, reply blocks that are used once, and no packets
 * between. Every way takes the same time.
 */
import { DelayLaws } from '../../../lib/core/delay-law.ts';
import { DEFAULT_SESSION_PARAMS } from '../../../lib/core/session-params.ts';
import type { NodeEntry, Topology } from '../../../lib/directory/index.ts';
import { PathHealth } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedgers } from '../../../lib/endpoint/health/reply-ledger.ts';
import type { ReplyReceiver } from '../../../lib/endpoint/index.ts';
import type { HubEndpoint } from '../../../lib/session/proxy/hub-options.ts';
import { ProxyHub } from '../../../lib/session/proxy/proxy-hub.ts';
import { RequesterHub } from '../../../lib/session/requester/requester-hub.ts';
import { silentLog } from '../../../lib/telemetry/log.ts';
import { nodeEntry } from '../nodes.ts';
import { seededRng } from '../seeded-rng.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { HandLane } from './hand-lane.ts';
import { soundPath } from './own-loops.ts';

export const PAYLOAD_BYTES = 2048;
export const RATES = { mainRate: 5, replyRate: 10, loopRate: 0.5, dropRate: 0.5, deliveryRate: 15 };
const WAY_MS = 100;
const STEP_MS = 50;
const SURB_LIFE_MS = 120_000;
const SURB_LOSS_DELAY_MS = 700;

const keyOf = (surb: Uint8Array) => Buffer.from(surb.subarray(0, 16)).toString('latin1');

/** A requester with all its lanes. */
class Exit {
  readonly hub: RequesterHub;
  readonly #lanes: { lane: HandLane; credit: number }[] = [];
  readonly #surbs = new WeakMap<Uint8Array, Uint8Array>();
  #feed: () => void = () => {};

  constructor(
    readonly node: NodeEntry,
    readonly world: ExitWorld,
    seats: number,
    capacity: number,
  ) {
    this.hub = new RequesterHub({
      components: { log: silentLog, clock: world.clock, rng: seededRng(node.port) },
      endpoint: {
        linkState: 'up',
        laws: world.laws,
        topology: world.topology,
        surbUsable: () => true,
        addLane: (options) => {
          const lane = new HandLane(options);
          this.#lanes.push({ lane, credit: 0 });
          return lane;
        },
        addFeeder: (feed) => {
          this.#feed = feed;
        },
        onTopology: () => {},
        sealReply: (surb, plaintext) => {
          this.#surbs.set(plaintext, surb);
          return { firstHop: new Uint8Array(32), packet: plaintext };
        },
      },
      accept: (stream) => {
        stream.opened({ host: '192.0.2.1', port: 1 }, world.clock.nowMs());
        return { onData() {}, onFin() {}, onReset() {}, onDrain() {} };
      },
      maxSessions: seats,
      maxTotalReplyRate: capacity,
    });
    this.hub.start();
  }

  step(): void {
    for (let i = this.#lanes.length - 1; i >= 0; i--) {
      const entry = this.#lanes[i] as { lane: HandLane; credit: number };
      if (entry.lane.removed) this.#lanes.splice(i, 1);
      entry.credit += (entry.lane.rate * STEP_MS) / 1000;
      const ticks = entry.lane.options.immediate === true ? entry.lane.content.length : Math.floor(entry.credit);
      for (let left = ticks; left > 0; left--) {
        const frame = entry.lane.tick();
        if (frame !== undefined) this.world.deliver(this.#surbs.get(frame.packet) as Uint8Array, frame.packet);
      }
      entry.credit -= Math.floor(entry.credit);
    }
    this.#feed();
  }
}

/** An honest proxy with one exit. */
export class Client {
  readonly hub: ProxyHub;
  readonly #packets = new WeakMap<Uint8Array, NodeEntry | undefined>();
  readonly #ledgers = new ReplyLedgers<ReplyReceiver>(new PathHealth());
  #lane: HandLane | undefined;
  #feed: () => void = () => {};
  #credit = 0;
  replies = 0;
  openedMs: number | undefined;

  constructor(
    readonly world: ExitWorld,
    seed: number,
  ) {
    this.hub = new ProxyHub({
      components: { log: silentLog, clock: world.clock, rng: seededRng(seed) },
      endpoint: this.#endpoint(),
      downlink: 'steady',
      requesters: () => world.exits.map(({ node }) => node),
    });
    this.hub.start();
  }

  /** Asks for a stream; `openedMs` says since when it is open. */
  open(): void {
    this.hub.open(
      { kind: 'tcp', host: 'example.org', port: 80 },
      {
        onOpened: () => {
          this.openedMs = this.world.clock.nowMs();
        },
        onReset: () => {
          this.openedMs = undefined;
        },
        ...{ onRefused() {}, onData() {}, onFin() {}, onDrain() {} },
      },
    );
  }

  step(): void {
    this.#ledgers.sweep(this.world.clock.nowMs(), SURB_LOSS_DELAY_MS);
    this.#credit += (RATES.mainRate * STEP_MS) / 1000;
    this.#feed();
    for (; this.#credit >= 1; this.#credit--) {
      const frame = this.#lane?.tick();
      const requester = frame === undefined ? undefined : this.#packets.get(frame.packet);
      if (frame !== undefined && requester !== undefined) this.world.send(requester, frame.packet);
    }
  }

  #endpoint(): HubEndpoint {
    const { world } = this;
    const sealed = (requester: NodeEntry | undefined, packet: Uint8Array) => {
      this.#packets.set(packet, requester);
      return { firstHop: new Uint8Array(32), packet, delayMs: WAY_MS, nodes: [] };
    };
    return {
      trafficClass: RATES,
      topology: world.topology,
      laws: world.laws,
      surbLifeMs: SURB_LIFE_MS,
      ownPath: soundPath,
      linkState: 'up',
      linkDownMs: 0,
      addLane: (options) => {
        this.#lane = new HandLane(options);
        return this.#lane;
      },
      addFeeder: (feed) => {
        this.#feed = feed;
      },
      onMoved: () => {},
      changeExitGateway: () => false,
      onTopology: () => {},
      sealTo: sealed,
      sealDrop: () => sealed(undefined, new Uint8Array(PAYLOAD_BYTES)),
      createSurb: (receiver) => {
        const block = this.#ledgers.ledgerOf(receiver).created([], world.clock.nowMs(), SURB_LIFE_MS);
        return world.makeSurb((plaintext) => {
          this.replies += 1;
          block.ledger.returned(block as ReplyBlock, world.clock.nowMs());
          receiver.receive(plaintext, world.clock.nowMs());
        });
      },
    };
  }
}

export class ExitWorld {
  readonly clock = new VirtualClock();
  readonly exits: Exit[];
  readonly clients: Client[] = [];
  /** Called in each step: hostile clients. */
  readonly others: ((stepMs: number) => void)[] = [];
  readonly topology: Topology;
  readonly laws = new DelayLaws({ meanDelayMs: 1, mixHops: 3 });
  readonly #rng = seededRng(11);
  readonly #surbs = new Map<string, (plaintext: Uint8Array) => void>();

  constructor(exits: number, seats: number, capacity: number) {
    const nodes = Array.from({ length: exits }, (_, i) => nodeEntry(900 + i, { role: 'requester', name: `exit-${i}` }));
    const params = {
      ...{ meanDelayMs: 1, payloadBytes: PAYLOAD_BYTES, epochMs: 3_600_000, classes: { standard: RATES } },
      session: DEFAULT_SESSION_PARAMS,
    };
    this.topology = { params, byId: (id: string) => nodes.find((node) => node.id === id) } as unknown as Topology;
    this.exits = nodes.map((node) => new Exit(node, this, seats, capacity));
  }

  addClient(): Client {
    const client = new Client(this, 1000 + this.clients.length);
    this.clients.push(client);
    return client;
  }

  makeSurb(receive: (plaintext: Uint8Array) => void): Uint8Array {
    const surb = this.#rng.bytes(372);
    this.#surbs.set(keyOf(surb), receive);
    return surb;
  }

  send({ id }: NodeEntry, packet: Uint8Array): void {
    this.clock.after(WAY_MS, () => this.exits.find(({ node }) => node.id === id)?.hub.receive(packet));
  }

  deliver(surb: Uint8Array, plaintext: Uint8Array): void {
    const receive = this.#surbs.get(keyOf(surb));
    this.#surbs.delete(keyOf(surb));
    this.clock.after(WAY_MS, () => receive?.(plaintext));
  }

  /** Lets time pass. */
  async run(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < endMs) {
      this.clock.advance(STEP_MS);
      for (const client of this.clients) client.step();
      for (const step of this.others) step(STEP_MS);
      await Promise.resolve();
      for (const exit of this.exits) exit.step();
    }
  }
}
