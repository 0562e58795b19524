/**
 * What an exit sees of a proxy: the real front, hub, sessions and sealed reply blocks as a configuration makes them, over a network
 * without mixes on the virtual clock. Sockets of applications are real; the clock stands still while their bytes are on the way.
 */

import { setImmediate as turn } from 'node:timers/promises';
import type { StreamOpener, StreamTimes } from '../../../lib/access/opener.ts';
import { hubTerms } from '../../../lib/access/terms.ts';
import { DelayLaws, delayLawOf } from '../../../lib/core/delay-law.ts';
import { DEFAULT_PARAMS, type NetworkParams } from '../../../lib/core/params.ts';
import { exponential } from '../../../lib/core/rng.ts';
import type { SessionParams } from '../../../lib/core/session-params.ts';
import { createCrypto } from '../../../lib/crypto/index.ts';
import type { NodeEntry, Topology } from '../../../lib/directory/index.ts';
import { PathHealth } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedgers } from '../../../lib/endpoint/health/reply-ledger.ts';
import type { ReplyReceiver } from '../../../lib/endpoint/index.ts';
import { RouteDrawer } from '../../../lib/endpoint/routes.ts';
import { Sealer } from '../../../lib/endpoint/sealer.ts';
import { type AcceptedStream, SessionTable } from '../../../lib/session/index.ts';
import type { HubEndpoint } from '../../../lib/session/proxy/hub-options.ts';
import { ProxyHub } from '../../../lib/session/proxy/proxy-hub.ts';
import { Sphinx } from '../../../lib/sphinx/index.ts';
import { type Log, silentLog } from '../../../lib/telemetry/log.ts';
import { Metrics } from '../../../lib/telemetry/metrics.ts';
import { SURB_BYTES } from '../../../lib/transport/limits.ts';
import { startFront } from '../../../proxy/front/front.ts';
import { frontOptionsOf, type ProxyConfig } from '../../../proxy/index.ts';
import { nodeEntry, smallTopology } from '../nodes.ts';
import { seededRng } from '../seeded-rng.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { HandLane } from './hand-lane.ts';
import { soundPath } from './own-loops.ts';

const PAYLOAD_BYTES = 2048;
const WAY_MS = 40;
const STEP_MS = 10;
const SURB_LIFE_MS = 120_000;
const SURB_LOSS_DELAY_MS = 700;
const RATES = { mainRate: 12, replyRate: 12, loopRate: 1, dropRate: 1, deliveryRate: 30 };
const FAST = { ...RATES, mainRate: 24 };

/** Requesters of this world. */
export const REQUESTERS: readonly NodeEntry[] = [900, 901].map((seed, i) =>
  nodeEntry(seed, { role: 'requester', name: `exit-${i}` }),
);
const keyOf = (surb: Uint8Array) => Buffer.from(surb.subarray(8, 40)).toString('latin1');

export interface FaceOptions {
  readonly session: SessionParams;
  /** What a proxy that does not keep to the network's times has in place of them. */
  readonly times?: Partial<StreamTimes>;
  /** Random bytes in place of sealed reply blocks, which cost a quarter of a millisecond each. */
  readonly quick?: boolean;
  /** How many requesters the network lists (default 2). */
  readonly listed?: number;
  /** Which of the gateways is the guard. */
  readonly guard?: number;
}

/** A packet as the exit reads it. */
export interface Seen {
  readonly atMs: number;
  readonly exit: string;
  readonly plaintext: Uint8Array;
}

export class FaceWorld {
  readonly clock = new VirtualClock();
  readonly seen: Seen[] = [];
  /** Streams at the exits by host; `silent.example` is never answered. */
  readonly accepted = new Map<string, AcceptedStream>();
  /** Hosts that the front knows to be connected. */
  readonly opened = new Set<string>();
  /** The exits read nothing and say nothing. */
  dead = false;
  readonly hub: ProxyHub;
  readonly #topology: Topology;
  readonly #tables = new Map<string, SessionTable>();
  readonly #packets = new WeakMap<Uint8Array, NodeEntry>();
  readonly #surbs = new Map<string, { receiver: ReplyReceiver; block: ReplyBlock }>();
  readonly #ledgers = new ReplyLedgers<ReplyReceiver>(new PathHealth());
  readonly #credit = new WeakMap<object, number>();
  readonly #ticks = seededRng(3);
  /** Streams that applications asked for, and bytes that they wrote. */
  asked = 0;
  written = 0;
  /** Bytes that came for applications, and those of them that their sockets have taken. */
  #came = 0;
  #taken = 0;
  #lane: HandLane | undefined;
  #feed: () => void = () => {};
  #nextTickMs = 0;

  constructor(
    readonly config: ProxyConfig,
    readonly options: FaceOptions,
  ) {
    this.#topology = this.#makeTopology();
    const requesters = REQUESTERS.slice(0, options.listed);
    for (const { name } of requesters) this.#tables.set(name, this.#makeTable());
    this.hub = new ProxyHub({
      components: { clock: this.clock, rng: seededRng(6), log: logOf(config.logLevel) },
      endpoint: this.#endpoint(),
      ...hubTerms(config),
      requesters: () => requesters.filter(({ id }) => (config.requester ?? id) === id),
    });
    this.hub.start();
  }

  /** Its front, as configured. */
  front() {
    const { config, clock } = this;
    const components = { clock, log: logOf(config.logLevel), metrics: new Metrics(), rng: seededRng(8) };
    return startFront({ ...frontOptionsOf(config), opener: this.#opener(), components });
  }

  /** Lets time pass, and gives sockets the time that they need in between. */
  async run(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < endMs) {
      this.clock.advance(STEP_MS);
      for (; this.#nextTickMs <= this.clock.nowMs(); this.#nextTickMs += this.#gapMs()) this.#depart();
      this.#ledgers.sweep(this.clock.nowMs(), SURB_LOSS_DELAY_MS);
      if (!this.dead) for (const table of this.#tables.values()) this.#serve(table);
      await Promise.resolve();
      await this.until(() => this.#taken === this.#came);
    }
  }

  /** Waits while the clock stands still. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await turn();
  }

  #makeTopology(): Topology {
    const { classes } = DEFAULT_PARAMS;
    const params: NetworkParams = {
      ...DEFAULT_PARAMS,
      meanDelayMs: 1,
      classes: { ...classes, standard: RATES, fast: FAST },
      session: this.options.session,
    };
    const topology = smallTopology(2);
    const byId = (id: string) => [...topology.nodes, ...REQUESTERS].find((node) => node.id === id);
    return { ...topology, params, byId } as unknown as Topology;
  }

  #makeTable(): SessionTable {
    return new SessionTable({
      rng: seededRng(4),
      payloadBytes: PAYLOAD_BYTES,
      terms: () => ({ delay: new DelayLaws({ meanDelayMs: 1, mixHops: 3 }), params: this.options.session }),
      accept: (stream, _kind, host) => {
        const nowMs = () => this.clock.nowMs();
        this.accepted.set(host, stream);
        if (host !== 'silent.example') stream.opened({ host: '192.0.2.1', port: 1 }, nowMs());
        return {
          onData: (bytes) => stream.consume(bytes.byteLength, nowMs()),
          ...{ onFin() {}, onReset() {}, onDrain() {} },
        };
      },
    });
  }

  #opener(): StreamOpener {
    const { hub, options } = this;
    return {
      times: { ...options.session, ...options.times },
      suits: (stream, port) => hub.suits(stream, port),
      open: ({ kind, host, port, isolation, forPort }, handlers) => {
        const onData = (bytes: Uint8Array) => {
          this.#came += bytes.byteLength;
          handlers.onData(bytes);
        };
        const onOpened: typeof handlers.onOpened = (bound) => {
          this.opened.add(host);
          handlers.onOpened(bound);
        };
        const counted = Object.assign(Object.create(handlers) as typeof handlers, { onData, onOpened });
        const stream = hub.open({ kind, host, port }, counted, isolation, forPort);
        this.asked += 1;
        const write = stream.write.bind(stream);
        const consume = stream.consume.bind(stream);
        stream.write = (bytes, nowMs) => {
          this.written += bytes.byteLength;
          return write(bytes, nowMs);
        };
        stream.consume = (bytes, nowMs) => {
          this.#taken += bytes;
          consume(bytes, nowMs);
        };
        return stream;
      },
    };
  }

  #endpoint(): HubEndpoint {
    const { config, clock } = this;
    const topology = this.#topology;
    const rng = seededRng(2);
    const named = config.gateway === undefined ? undefined : topology.gateways.find(({ id }) => id === config.gateway);
    const gateway = named ?? (topology.gateways[this.options.guard ?? 0] as NodeEntry);
    const sealer = new Sealer({
      sphinx: new Sphinx(createCrypto(config.crypto), rng),
      ...{ drawer: new RouteDrawer(rng), rng, clock, address: new Uint8Array(32).fill(7), view: { topology, gateway } },
    });
    const sealed = (packet: Uint8Array) => ({ firstHop: new Uint8Array(32), packet, delayMs: WAY_MS, nodes: [] });
    return {
      trafficClass: topology.params.classes[config.trafficClass] ?? RATES,
      laws: new DelayLaws(delayLawOf(topology.params)),
      ...{ topology, surbLifeMs: SURB_LIFE_MS, ownPath: soundPath, linkState: 'up', linkDownMs: 0 },
      addLane: (options) => {
        this.#lane = new HandLane(options);
        return this.#lane;
      },
      addFeeder: (feed) => {
        this.#feed = feed;
      },
      onMoved: () => {},
      onTopology: () => {},
      changeExitGateway: () => false,
      sealTo: (requester, plaintext) => {
        this.#packets.set(plaintext, requester);
        return sealed(plaintext);
      },
      sealDrop: () => sealed(new Uint8Array(PAYLOAD_BYTES)),
      createSurb: (receiver) => {
        const surb = this.options.quick === true ? rng.bytes(SURB_BYTES) : sealer.surb()?.surb;
        const block = this.#ledgers.ledgerOf(receiver).created([], clock.nowMs(), SURB_LIFE_MS);
        if (surb !== undefined) this.#surbs.set(keyOf(surb), { receiver, block });
        return surb;
      },
    };
  }

  #gapMs(): number {
    return exponential(this.#ticks, 1000 / (this.#lane?.rate ?? 1));
  }

  #depart(): void {
    const atMs = this.#nextTickMs;
    const packet = this.#lane?.tick()?.packet;
    this.#feed();
    const requester = packet === undefined ? undefined : this.#packets.get(packet);
    if (packet === undefined || requester === undefined) return;
    this.seen.push({ atMs, exit: requester.name, plaintext: packet.slice() });
    this.clock.after(WAY_MS, () => {
      if (!this.dead) this.#tables.get(requester.name)?.receive(packet, this.clock.nowMs());
    });
  }

  #serve(table: SessionTable): void {
    const nowMs = this.clock.nowMs();
    table.tick(nowMs);
    for (let reply = table.nextAnswer(nowMs); reply !== undefined; reply = table.nextAnswer(nowMs)) this.#reply(reply);
    for (const session of table.sessions()) {
      const perStep = session.downlink === 'burst' ? 1 : (session.replyRatePerSecond * STEP_MS) / 1000;
      let credit = (this.#credit.get(session) ?? 0) + perStep;
      for (; credit >= 1; credit -= 1) {
        const reply =
          session.nextReply(nowMs) ?? (session.downlink === 'burst' ? undefined : session.dummyReply(nowMs));
        if (reply !== undefined) this.#reply(reply);
      }
      this.#credit.set(session, credit);
    }
  }

  #reply({ surb372, plaintext }: { surb372: Uint8Array; plaintext: Uint8Array }): void {
    const made = this.#surbs.get(keyOf(surb372));
    this.#surbs.delete(keyOf(surb372));
    this.clock.after(WAY_MS, () => {
      if (made === undefined) return;
      made.block.ledger.returned(made.block, this.clock.nowMs());
      made.receiver.receive(plaintext, this.clock.nowMs());
    });
  }
}

/** Does the work of a log of this level. */
function logOf(level: ProxyConfig['logLevel']): Log {
  if (level !== 'debug' && level !== 'trace') return silentLog;
  const write = (fields: object, message: string) => void JSON.stringify({ ...fields, message });
  const log: Log = { error: write, warn: write, info: write, debug: write, child: () => log };
  return log;
}
