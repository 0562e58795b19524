/**
 * One proxy and one requester over the simulated mixnet: exponential delays at three mixes each way, Poisson slots behind rings that are filled ahead of time, loss, duplicates, dead paths, restarts of either side.
 * The same seed gives the same run.
 */

import assert from 'node:assert/strict';
import { toHex } from '../../../lib/core/bytes.ts';
import { DelayLaws } from '../../../lib/core/delay-law.ts';
import { exponential, type Rng } from '../../../lib/core/rng.ts';
import { PathHealth } from '../../../lib/endpoint/health/path-health.ts';
import { type ReplyBlock, ReplyLedger } from '../../../lib/endpoint/health/reply-ledger.ts';
import { ProxySession, type Reply, type RequesterSession, SessionTable } from '../../../lib/session/index.ts';
import { seededRng } from '../seeded-rng.ts';
import { monotonic } from '../units.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { EventQueue } from './event-queue.ts';
import { SimNet } from './net.ts';
import { OwnLoops } from './own-loops.ts';
import { ReplyLanes } from './reply-lanes.ts';
import type { SimOptions } from './sim-options.ts';

export type { SimOptions } from './sim-options.ts';

const MIXES = 3;
/** Loops of the proxy that its gateway delivers among the replies. */
const LOOP_RATE = 5;
const AHEAD_MS = 25;
/** When reply blocks are looked over, and how long after it was overtaken one counts as missing. */
const SWEEP_MS = 250;
const SURB_LOSS_DELAY_MS = 1_000;

interface Surb {
  readonly session: ProxySession;
  readonly block: ReplyBlock;
  /** Of the reply, when it is drawn ahead. */
  readonly wayMs: number | undefined;
  readonly madeMs: number;
  readonly number: number;
  used: boolean;
}

/** A packet that waits for its slot. */
interface Content {
  readonly plaintext: Uint8Array;
  readonly wayMs: number | undefined;
}

export class SessionSim {
  readonly events = new EventQueue();
  readonly gateway: DeliveryQueue | undefined;
  readonly rng: Rng;
  readonly #net: SimNet;
  readonly options: Required<Omit<SimOptions, 'accessToken' | 'proxyToken' | 'limits'>> & SimOptions;
  /** Of both ends. */
  readonly laws: DelayLaws;
  proxy: ProxySession;
  table: SessionTable;
  lossUp: number;
  lossDown: number;
  upDead = false;
  downDead = false;
  /** The proxy's machine sleeps: nothing there runs, and what comes is lost. */
  proxyAsleep = false;
  mainRate: number;
  /** Called with every uplink plaintext that carries something, as it leaves. */
  onUplink: (plaintext: Uint8Array) => void = () => {};
  readonly counts = { upContent: 0, upPadding: 0, downContent: 0, downDummy: 0, downMissed: 0, surbsExpiredInNet: 0 };
  readonly #surbs = new Map<string, Surb>();
  #surbCounter = 0;
  #worthlessUpTo = 0;
  #ledger: ReplyLedger | undefined;
  readonly #loops: OwnLoops;
  #content: Content[] = [];
  /** Made for the packet that is being written. */
  #minted: ReplyBlock[] = [];
  /** What became of reply blocks. */
  readonly fates = { returned: 0, missing: 0, late: 0, forgotten: 0 };
  readonly #lanes: ReplyLanes;
  #proxyTimerMs = Number.POSITIVE_INFINITY;
  #tableTimerMs = Number.POSITIVE_INFINITY;
  closedReason: string | undefined;

  constructor(options: SimOptions) {
    this.options = {
      payloadBytes: 2048,
      meanDelayMs: 15,
      linkMs: 2,
      drawsAhead: false,
      mainRate: 50,
      replyRate: 100,
      downlink: 'steady',
      deliveryRate: 0,
      lossUp: 0,
      lossDown: 0,
      duplicates: 0,
      surbLifeMs: 550_000,
      ...options,
    };
    this.rng = seededRng(options.seed);
    const { deliveryRate } = this.options;
    if (deliveryRate > 0)
      this.gateway = new DeliveryQueue(this.events, seededRng(options.seed + 2), deliveryRate, LOOP_RATE);
    const { linkMs, meanDelayMs } = this.options;
    this.#net = new SimNet(this.events, this.rng, { linkMs, meanDelayMs, mixes: MIXES });
    this.laws = new DelayLaws({ meanDelayMs, mixHops: MIXES });
    this.lossUp = this.options.lossUp;
    this.lossDown = this.options.lossDown;
    this.mainRate = this.options.mainRate;
    const loopRng = seededRng(options.seed + 1);
    this.#loops = new OwnLoops(() => {
      const perMix = Math.max(this.lossUp, this.lossDown);
      return this.upDead || this.downDead || loopRng.uniform() >= (1 - perMix) ** MIXES;
    });
    this.#lanes = new ReplyLanes(
      this.events,
      this.rng,
      this.counts,
      (reply) => this.#down(reply),
      () => this.#feedTable(),
    );
    this.proxy = this.#newProxy();
    this.table = this.#newTable();
    this.#sweep();
    this.#mainSlot();
    this.feedProxy();
  }

  get nowMs(): number {
    return this.events.nowMs;
  }

  run(ms: number, done?: () => boolean): void {
    this.events.run(this.nowMs + ms, done);
  }

  /** Runs until `done`, at most `ms`; returns how long it took. */
  until(done: () => boolean, ms: number): number {
    const fromMs = this.nowMs;
    this.run(ms, done);
    return this.nowMs - fromMs;
  }

  /** The mixes delay what is made from now on by another mean; both ends learn so, unless they `ignore` it. */
  changeLaw(meanDelayMs: number, epochMs: number, ignore = false): void {
    this.#net.law = { ...this.#net.law, meanDelayMs };
    if (!ignore) this.laws.follow({ meanDelayMs, epochMs }, monotonic(this.nowMs));
  }

  /** The only session at the requester, if there is one. */
  get served(): RequesterSession | undefined {
    return [...this.table.sessions()][0];
  }

  restartRequester(): void {
    this.#lanes.clear();
    this.table = this.#newTable();
    this.#tableTimerMs = Number.POSITIVE_INFINITY;
  }

  /** A new session in place of the old one, as after a restart of the proxy, or when the old one was closed. */
  restartProxy(): void {
    this.#content = [];
    this.proxy = this.#newProxy();
    this.feedProxy();
  }

  #newProxy(): ProxySession {
    const { payloadBytes, mainRate, replyRate, downlink, surbLifeMs, limits } = this.options;
    const accessToken = this.options.proxyToken ?? this.options.accessToken;
    this.closedReason = undefined;
    this.#proxyTimerMs = Number.POSITIVE_INFINITY;
    const session: ProxySession = new ProxySession(
      {
        rng: this.rng,
        payloadBytes,
        delay: this.laws,
        mainRatePerSecond: mainRate,
        replyRatePerSecond: replyRate,
        downlink,
        surbLifeMs,
        ownPath: () => this.#loops.path(this.nowMs),
        mintSurb: (nowMs) => this.#mint(session, nowMs),
        ...(limits === undefined ? {} : { limits }),
        ...(accessToken === undefined ? {} : { accessToken }),
      },
      monotonic(this.nowMs),
    );
    this.#ledger = new ReplyLedger(new PathHealth(), {
      settled: (block, nowMs) => {
        this.fates[block.fate] += 1;
        session.settled(block, nowMs);
      },
    });
    session.onContent(() => this.feedProxy());
    session.onClosed((reason) => {
      this.closedReason = reason;
    });
    return session;
  }

  #newTable(): SessionTable {
    const { payloadBytes, accept, limits, accessToken } = this.options;
    const table = new SessionTable({
      rng: this.rng,
      payloadBytes,
      terms: () => ({ delay: this.laws }),
      accept: (...args) => accept(...args),
      ...(limits === undefined ? {} : { limits }),
      ...(accessToken === undefined ? {} : { accessToken }),
    });
    table.onSession((session) => this.#lanes.serve(session));
    return table;
  }

  /** The proxy has moved: reply blocks made so far lead nowhere. */
  loseReplyBlocks(): void {
    this.#worthlessUpTo = this.#surbCounter;
    this.#ledger?.forgetAll(monotonic(this.nowMs));
    this.proxy.replyBlocksLost(monotonic(this.nowMs));
    this.feedProxy();
  }

  // ---- the proxy's side

  #sweep(): void {
    this.events.after(SWEEP_MS, () => {
      this.#sweep();
      if (!this.proxyAsleep) this.#ledger?.sweep(monotonic(this.nowMs), SURB_LOSS_DELAY_MS);
    });
  }

  #mint(session: ProxySession, nowMs: number): Uint8Array {
    const wayMs = this.#wayAhead();
    const delayMs = wayMs === undefined ? 0 : wayMs - this.options.linkMs;
    const block = (this.#ledger as ReplyLedger).created([], monotonic(nowMs), this.options.surbLifeMs, delayMs);
    this.#minted.push(block);
    const surb = new Uint8Array(372);
    new DataView(surb.buffer).setUint32(0, ++this.#surbCounter);
    const number = this.#surbCounter;
    this.#surbs.set(toHex(surb.subarray(0, 4)), { session, block, wayMs, madeMs: nowMs, number, used: false });
    return surb;
  }

  #wayAhead(): number | undefined {
    return this.options.drawsAhead ? this.#net.wayMs() : undefined;
  }

  /** The route of a packet with these bytes is drawn. */
  #seal(plaintext: Uint8Array): Content {
    const wayMs = this.#wayAhead();
    const minted = this.#minted.splice(0);
    if (wayMs === undefined) return { plaintext, wayMs };
    const delayMs = wayMs - this.options.linkMs;
    this.proxy.routeDelayDrawn(delayMs);
    this.#ledger?.sent(minted, [], delayMs);
    return { plaintext, wayMs };
  }

  #feeding = false;

  feedProxy(): void {
    if (this.#feeding) return;
    this.#feeding = true;
    const slots = Math.max(2, Math.ceil((this.mainRate * AHEAD_MS) / 1000));
    while (this.#content.length < slots && this.proxy.hasContent(monotonic(this.nowMs))) {
      const plaintext = this.proxy.fill(monotonic(this.nowMs));
      assert.ok(plaintext, 'fill gives nothing although hasContent said so');
      assert.equal(plaintext.byteLength, this.options.payloadBytes);
      this.#content.push(this.#seal(plaintext));
    }
    this.#feeding = false;
    this.#armProxy();
  }

  #armProxy(): void {
    const atMs = this.proxy.nextDeadlineMs();
    if (atMs >= this.#proxyTimerMs) return;
    this.#watchSpin(atMs);
    this.#proxyTimerMs = atMs;
    const session = this.proxy;
    this.events.at(atMs, () => {
      if (session !== this.proxy || this.#proxyTimerMs !== atMs) return;
      this.#proxyTimerMs = Number.POSITIVE_INFINITY;
      if (this.proxyAsleep) return; // slots wake it
      session.tick(monotonic(this.nowMs));
      this.feedProxy();
    });
  }

  #spins = 0;

  /** A deadline in the past is a timer that fires at once; again and again, it is a process that spins. */
  #watchSpin(atMs: number): void {
    this.#spins = atMs > this.nowMs ? 0 : this.#spins + 1;
    assert.ok(this.#spins < 100, `deadline in the past again and again: ${atMs} at ${this.nowMs}`);
  }

  #mainSlot(): void {
    this.events.after(exponential(this.rng, 1000 / this.mainRate), () => {
      this.#mainSlot();
      if (this.proxyAsleep) return;
      const content = this.#content.shift();
      if (content !== undefined) {
        this.counts.upContent++;
        this.onUplink(content.plaintext);
      } else {
        this.counts.upPadding++;
      }
      this.#up(content ?? { plaintext: this.proxy.padding(this.nowMs), wayMs: undefined });
      this.feedProxy();
    });
  }

  // ---- the network

  #copies(): number {
    return this.rng.uniform() < this.options.duplicates ? 2 : 1;
  }

  #up({ plaintext, wayMs }: Content): void {
    if (this.upDead || !this.#net.survives(this.lossUp)) return;
    for (let left = this.#copies(); left > 0; left--) {
      this.#net.carry(() => {
        this.table.receive(plaintext.slice(), monotonic(this.nowMs));
        this.#feedTable();
      }, wayMs);
    }
  }

  #down(reply: Reply): void {
    const surb = this.#surbs.get(toHex(reply.surb372.subarray(0, 4)));
    assert.ok(surb, 'a reply block that nobody made');
    assert.equal(surb.used, false, 'a reply block used twice');
    assert.equal(reply.plaintext.byteLength, this.options.payloadBytes);
    surb.used = true;
    if (this.nowMs - surb.madeMs > this.options.surbLifeMs + 1000) {
      this.counts.surbsExpiredInNet++;
      return;
    }
    if (surb.number <= this.#worthlessUpTo || this.downDead || this.proxyAsleep || !this.#net.survives(this.lossDown))
      return;
    const deliver = () => {
      if (this.proxyAsleep) return;
      surb.block.ledger.returned(surb.block, monotonic(this.nowMs));
      surb.session.receive(reply.plaintext, monotonic(this.nowMs));
      if (surb.session === this.proxy) this.feedProxy();
    };
    this.#net.carry(() => (this.gateway === undefined ? deliver() : this.gateway.push(deliver)), surb.wayMs);
  }

  // ---- the requester's side

  #feedingTable = false;

  #feedTable(): void {
    if (this.#feedingTable) return;
    this.#feedingTable = true;
    for (;;) {
      const answer = this.table.nextAnswer(this.nowMs);
      if (answer === undefined) break;
      this.#down(answer);
    }
    this.#lanes.feed();
    this.#feedingTable = false;
    this.#armTable();
  }

  #armTable(): void {
    const atMs = this.table.nextDeadlineMs();
    if (atMs >= this.#tableTimerMs) return;
    this.#watchSpin(atMs);
    this.#tableTimerMs = atMs;
    const table = this.table;
    this.events.at(atMs, () => {
      if (table !== this.table || this.#tableTimerMs !== atMs) return;
      this.#tableTimerMs = Number.POSITIVE_INFINITY;
      table.tick(monotonic(this.nowMs));
      this.#feedTable();
    });
  }
}
