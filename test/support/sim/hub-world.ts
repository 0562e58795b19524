import assert from 'node:assert/strict';
import { DelayLaws } from '../../../lib/core/delay-law.ts';
import type { TrafficClass } from '../../../lib/core/params.ts';
import { DEFAULT_SESSION_PARAMS } from '../../../lib/core/session-params.ts';
import type { VersionRange } from '../../../lib/core/version-range.ts';
import type { NodeEntry, Topology } from '../../../lib/directory/index.ts';
import { PathHealth } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedgers } from '../../../lib/endpoint/health/reply-ledger.ts';
import type { ReplyReceiver } from '../../../lib/endpoint/index.ts';
import {
  type AcceptedStream,
  type Downlink,
  SessionTable,
  type StreamHandlers,
  type StreamKind,
} from '../../../lib/session/index.ts';
import type { HubEndpoint } from '../../../lib/session/proxy/hub-options.ts';
import { ProxyHub } from '../../../lib/session/proxy/proxy-hub.ts';
import { acceptUnless } from '../../../lib/session/requester/drain.ts';
import type { SessionMeter } from '../../../lib/session/session-meter.ts';
import { type Log, silentLog } from '../../../lib/telemetry/log.ts';
import { nodeEntry } from '../nodes.ts';
import { seededRng } from '../seeded-rng.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { HandLane } from './hand-lane.ts';
import { SimNet } from './net.ts';
import { OwnLoops } from './own-loops.ts';

const PAYLOAD_BYTES = 2048;
const WAY_MS = 20;
const STEP_MS = 5;
const SURB_LIFE_MS = 120_000;
/** How long after it was overtaken a reply block counts as missing. */
const SURB_LOSS_DELAY_MS = 700;
/** The more time passes at once, the longer the steps. */
const stepMsFor = (ms: number) => (ms < 10_000 ? STEP_MS : ms < 100_000 ? 20 : 100);

/** A stream that reached a requester. */
export interface Arrived {
  readonly requester: string;
  readonly session: string;
  readonly host: string;
  readonly kind: StreamKind;
  readonly stream: AcceptedStream;
  bytes: number;
}

/** A stream of the test's application. */
export interface Asked {
  readonly stream: ReturnType<ProxyHub['open']>;
  opened: boolean;
  refused: string | undefined;
  reset: string | undefined;
}

export interface HubWorldOptions {
  readonly requesters?: number;
  readonly spread?: number;
  readonly mainRate?: number;
  readonly replyRate?: number;
  readonly downlink?: Downlink;
  /** Summaries of the requesters' exit policies. */
  readonly policies?: readonly string[];
  readonly log?: Log;
  readonly maxIdentities?: number;
  readonly openTimeoutMs?: number;
  readonly meter?: SessionMeter;
  /** False: the client sends no loops of its own, and knows nothing of its ways. */
  readonly loops?: boolean;
  /** Versions of sessions that the client speaks. */
  readonly versions?: VersionRange;
  /** Those that each requester speaks, which the consensus lists. */
  readonly exitVersions?: readonly VersionRange[];
}

/**
 * The hub of a proxy and its requesters over the simulated mixnet, which takes the same time for each packet; clocks tick
 * evenly.
 */
export class HubWorld {
  readonly clock = new VirtualClock();
  readonly hub: ProxyHub;
  readonly nodes: NodeEntry[];
  /** What the consensus lists now. */
  listed: NodeEntry[];
  readonly tables = new Map<string, SessionTable>();
  readonly arrived: Arrived[] = [];
  /** Name of the requester of each packet that left, `drop` for none. */
  readonly departures: string[] = [];
  replies = 0;
  /** Requesters that hear nothing and say nothing. */
  readonly dead = new Set<string>();
  /** Requesters that keep nine of ten reply blocks, and say that they have expired. */
  readonly hoarders = new Set<string>();
  /** Requesters that take sessions, and refuse all streams with LIMIT. */
  readonly full = new Set<string>();
  /** A stream was broken off at its requester. */
  onReset: (host: string) => void = () => {};
  /** Tells the hub of a new consensus. */
  turn: () => void = () => {};
  linkDownMs = 0;
  linkState: 'up' | 'down' = 'up';
  readonly #rng = seededRng(5);
  readonly #net = new SimNet(this.clock, this.#rng, { linkMs: WAY_MS, mixes: 3, meanDelayMs: 0 });
  readonly #rates: { -readonly [Rate in keyof TrafficClass]: number };
  readonly #packets = new WeakMap<Uint8Array, NodeEntry | undefined>();
  readonly #surbs = new Map<string, { receiver: ReplyReceiver; block: ReplyBlock }>();
  readonly #ledgers = new ReplyLedgers<ReplyReceiver>(new PathHealth());
  readonly #loops = new OwnLoops(() => false);
  readonly #draining = new Set<string>();
  readonly #sendsLoops: boolean;
  readonly #credit = new WeakMap<object, number>();
  #lane: HandLane | undefined;
  #feed: () => void = () => {};
  #nextTickMs = 0;

  constructor(options: HubWorldOptions = {}) {
    const { requesters = 1, spread = 1, mainRate = 20, replyRate = 40, downlink = 'steady', policies = [] } = options;
    this.#sendsLoops = options.loops ?? true;
    this.#rates = { mainRate, replyRate, loopRate: 1, dropRate: 1, deliveryRate: 2 * replyRate };
    this.nodes = Array.from({ length: requesters }, (_, i) => {
      const exitPolicy = policies[i];
      const sessionVersions = options.exitVersions?.[i];
      const versions = sessionVersions === undefined ? {} : { sessionVersions };
      const fields = { role: 'requester', name: `r${i}`, ...versions } as const;
      return nodeEntry(900 + i, exitPolicy === undefined ? fields : { ...fields, exitPolicy });
    });
    this.listed = [...this.nodes];
    for (const { name } of this.nodes) this.tables.set(name, this.#newTable(name));
    this.hub = new ProxyHub({
      components: { clock: this.clock, rng: seededRng(6), log: options.log ?? silentLog },
      endpoint: this.#endpoint(),
      downlink,
      requesters: () => this.listed,
      spread,
      ...(options.meter === undefined ? {} : { meter: options.meter }),
      ...(options.versions === undefined ? {} : { versions: options.versions }),
      ...(options.maxIdentities === undefined ? {} : { maxIdentities: options.maxIdentities }),
      ...(options.openTimeoutMs === undefined ? {} : { openTimeoutMs: options.openTimeoutMs }),
    });
    this.hub.start();
  }

  /** Lets time pass. */
  run(ms: number): void {
    const endMs = this.clock.nowMs() + ms;
    const stepMs = stepMsFor(ms);
    while (this.clock.nowMs() < endMs) {
      this.clock.advance(stepMs);
      for (; this.#nextTickMs <= this.clock.nowMs(); this.#nextTickMs += 1000 / this.#rates.mainRate) this.#depart();
      this.#ledgers.sweep(this.clock.nowMs(), SURB_LOSS_DELAY_MS);
      for (const [name, table] of this.tables) if (!this.dead.has(name)) this.#serve(name, table, stepMs);
    }
  }

  /** Opens a stream and lets the hub feed. */
  async open(host: string, token?: string, port = 80, kind: StreamKind = 'tcp'): Promise<Asked> {
    const asked: { -readonly [K in keyof Asked]?: Asked[K] } = { opened: false, refused: undefined, reset: undefined };
    const handlers: StreamHandlers = {
      onOpened: () => {
        asked.opened = true;
      },
      onRefused: (code) => {
        asked.refused = code;
      },
      onReset: (code) => {
        asked.reset = code;
      },
      onData: () => {},
      onFin: () => {},
      onDrain: () => {},
    };
    asked.stream = this.hub.open({ kind, host, port }, handlers, token);
    await Promise.resolve();
    return asked as Asked;
  }

  /** Opens a stream and waits until it is open. */
  async connect(host: string, token?: string, port?: number): Promise<{ asked: Asked; arrived: Arrived }> {
    const asked = await this.open(host, token, port);
    for (let i = 0; i < 2000 && !asked.opened; i++) this.run(STEP_MS);
    assert.ok(asked.opened, `${host} was not opened: ${asked.refused ?? asked.reset ?? 'no answer'}`);
    const arrived = this.arrived.findLast((one) => one.host === host);
    assert.ok(arrived);
    return { asked, arrived };
  }

  /** Ends a stream both ways. */
  close({ asked, arrived }: { asked: Asked; arrived: Arrived }): void {
    asked.stream.end(this.clock.nowMs());
    arrived.stream.end(this.clock.nowMs());
  }

  /** The requester forgets everything, as after a restart. */
  restart(name: string): void {
    this.#draining.delete(name);
    this.tables.set(name, this.#newTable(name));
  }

  /** The requester is about to stop. */
  drain(name: string): void {
    this.#draining.add(name);
    this.tables.get(name)?.drain();
  }

  /** Replies per second that the requester of this name was asked for, over its sessions. */
  repliesAsked(name: string): number {
    let sum = 0;
    for (const session of this.tables.get(name)?.sessions() ?? []) sum += session.replyRatePerSecond;
    return sum;
  }

  sessionsAt(name: string): number {
    return this.tables.get(name)?.size ?? 0;
  }

  /** Packets per second of the main clock. */
  get mainRate(): number {
    return this.#lane?.rate ?? 0;
  }

  set mainRate(perSecond: number) {
    this.#rates.mainRate = perSecond;
  }

  get missed(): number {
    return this.#lane?.missed ?? 0;
  }

  #newTable(requester: string): SessionTable {
    const isDraining = () => this.#draining.has(requester);
    const versions = this.nodes.find(({ name }) => name === requester)?.sessionVersions;
    return new SessionTable({
      ...(versions === undefined ? {} : { versions }),
      rng: this.#rng,
      payloadBytes: PAYLOAD_BYTES,
      terms: () => ({ delay: new DelayLaws({ meanDelayMs: 1, mixHops: 3 }) }),
      surbUsable: () => !this.hoarders.has(requester) || this.#rng.int(10) === 0,
      accept: acceptUnless(
        isDraining,
        (stream, kind, host, _port, session) => {
          if (this.full.has(requester)) {
            stream.refuse('LIMIT', this.clock.nowMs());
            return { onData() {}, onFin() {}, onReset() {}, onDrain() {} };
          }
          const arrived: Arrived = { requester, session, host, kind, stream, bytes: 0 };
          this.arrived.push(arrived);
          stream.opened({ host: '0.0.0.0', port: 0 }, this.clock.nowMs());
          return {
            onData: (bytes) => {
              arrived.bytes += bytes.byteLength;
              stream.consume(bytes.byteLength, this.clock.nowMs());
            },
            onFin: () => {},
            onReset: () => this.onReset(host),
            onDrain: () => {},
          };
        },
        this.clock,
      ),
    });
  }

  #endpoint(): HubEndpoint {
    const sealed = (requester: NodeEntry | undefined, packet: Uint8Array) => {
      this.#packets.set(packet, requester);
      return { firstHop: new Uint8Array(32), packet, delayMs: WAY_MS, nodes: [] };
    };
    const world = this;
    return {
      trafficClass: this.#rates,
      topology: {
        params: { meanDelayMs: 1, payloadBytes: PAYLOAD_BYTES, session: DEFAULT_SESSION_PARAMS },
        byId: (id: string) => this.listed.find((node) => node.id === id),
      } as unknown as Topology,
      laws: new DelayLaws({ meanDelayMs: 1, mixHops: 3 }),
      surbLifeMs: SURB_LIFE_MS,
      get ownPath() {
        const path = world.#loops.path(world.clock.nowMs());
        return world.#sendsLoops ? path : { ...path, loops: () => ({ seen: 0, lost: 0 }) };
      },
      get linkState() {
        return world.linkState;
      },
      get linkDownMs() {
        return world.linkDownMs;
      },
      addLane: (options) => {
        this.#lane = new HandLane(options);
        return this.#lane;
      },
      addFeeder: (feed) => {
        this.#feed = feed;
      },
      onMoved: () => {},
      onTopology: (notify) => {
        this.turn = notify;
      },
      sealTo: (requester, plaintext) => sealed(requester, plaintext),
      changeExitGateway: () => false,
      sealDrop: () => sealed(undefined, new Uint8Array(PAYLOAD_BYTES)),
      createSurb: (receiver) => {
        const surb = new Uint8Array(372);
        surb.set(this.#rng.bytes(16)); // what it is known by
        const nowMs = this.clock.nowMs();
        this.#surbs.set(keyOf(surb), {
          receiver,
          block: this.#ledgers.ledgerOf(receiver).created([], nowMs, SURB_LIFE_MS),
        });
        return surb;
      },
    };
  }

  #depart(): void {
    const frame = this.#lane?.tick();
    this.#feed();
    if (frame === undefined) return;
    const requester = this.#packets.get(frame.packet);
    this.departures.push(requester?.name ?? 'drop');
    if (requester === undefined) return;
    const { name } = requester;
    this.#net.carry(() => {
      if (!this.dead.has(name)) this.tables.get(name)?.receive(frame.packet, this.clock.nowMs());
    });
  }

  #serve(name: string, table: SessionTable, stepMs: number): void {
    const nowMs = this.clock.nowMs();
    table.tick(nowMs);
    for (let answer = table.nextAnswer(nowMs); answer !== undefined; answer = table.nextAnswer(nowMs)) {
      this.#reply(answer);
    }
    for (const session of this.tables.get(name)?.sessions() ?? []) {
      if (session.downlink === 'burst') {
        for (let reply = session.nextReply(nowMs); reply !== undefined; reply = session.nextReply(nowMs)) {
          this.#reply(reply);
        }
        continue;
      }
      let credit = (this.#credit.get(session) ?? 0) + (session.replyRatePerSecond * stepMs) / 1000;
      for (; credit >= 1; credit -= 1) {
        const reply = session.nextReply(nowMs) ?? session.dummyReply(nowMs);
        if (reply !== undefined) this.#reply(reply);
      }
      this.#credit.set(session, credit);
    }
  }

  #reply({ surb372, plaintext }: { surb372: Uint8Array; plaintext: Uint8Array }): void {
    this.replies += 1;
    const made = this.#surbs.get(keyOf(surb372));
    if (made === undefined) return;
    this.#surbs.delete(keyOf(surb372));
    this.#net.carry(() => {
      made.block.ledger.returned(made.block, this.clock.nowMs());
      made.receiver.receive(plaintext, this.clock.nowMs());
    });
  }
}

const keyOf = (surb: Uint8Array) => Buffer.from(surb.subarray(0, 16)).toString('latin1');
