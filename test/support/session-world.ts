import { setTimeout as wait } from 'node:timers/promises';
import {
  type AcceptHandler,
  ProxySession,
  type SessionStream,
  SessionTable,
  type StreamHandlers,
} from '../../lib/session/index.ts';
import type { FrontTarget, StreamOpener } from '../../proxy/opener.ts';
import { seededRng } from './seeded-rng.ts';

const PAYLOAD_BYTES = 2048;
/** Packets per turn each way, and the time between turns. */
const PACKETS_PER_TURN = 8;
const TURN_MS = 2;
const MAX_DELAY_MS = 6;
/** Share of packets that get lost. */
const LOSS = 0.02;

/**
 * An opener over a real session, whose packets go straight to a session table in the same process, on the real clock:
 * late by a few milliseconds, out of order, some of them lost.
 */
export class SessionWorld implements StreamOpener {
  readonly #rng = seededRng(42);
  readonly session: ProxySession;
  readonly table: SessionTable;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(accept: AcceptHandler) {
    const delay = { meanDelayMs: 1, mixHops: 3 };
    const terms = { rng: this.#rng, payloadBytes: PAYLOAD_BYTES, delay };
    this.table = new SessionTable({ ...terms, accept });
    this.session = new ProxySession(
      {
        ...terms,
        mainRatePerSecond: (1000 * PACKETS_PER_TURN) / TURN_MS,
        replyRatePerSecond: (1000 * PACKETS_PER_TURN) / TURN_MS,
        downlink: 'steady',
        surbLifeMs: 60_000,
        mintSurb: () => this.#rng.bytes(372),
      },
      performance.now(),
    );
    this.#running = this.#run();
  }

  open(target: FrontTarget, handlers: StreamHandlers): SessionStream {
    return this.session.open({ kind: target.kind, host: target.host, port: target.port }, handlers, performance.now());
  }

  suits(): boolean {
    return true;
  }

  /** Streams that either end still knows. */
  streamsOpen(): number {
    const far = [...this.table.sessions()].reduce((sum, session) => sum + session.stats().streamsOpen, 0);
    return far + this.session.stats().streamsOpen;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const nowMs = performance.now();
      this.session.tick(nowMs);
      this.table.tick(nowMs);
      this.#sendUp(nowMs);
      this.#sendDown(nowMs);
      await wait(TURN_MS);
    }
  }

  #sendUp(nowMs: number): void {
    for (let i = 0; i < PACKETS_PER_TURN; i++) {
      const plaintext = this.session.fill(nowMs) ?? (i === 0 ? this.session.padding(nowMs) : undefined);
      if (plaintext === undefined) return;
      this.#later(() => this.table.receive(plaintext, performance.now()));
    }
  }

  #sendDown(nowMs: number): void {
    for (const session of this.table.sessions()) {
      for (let i = 0; i < PACKETS_PER_TURN; i++) {
        const reply = session.nextReply(nowMs) ?? (i === 0 ? session.dummyReply(nowMs) : undefined);
        if (reply === undefined) break;
        this.#later(() => this.session.receive(reply.plaintext, performance.now()));
      }
    }
  }

  #later(deliver: () => void): void {
    if (this.#rng.uniform() < LOSS) return;
    setTimeout(() => this.#stopped || deliver(), this.#rng.uniform() * MAX_DELAY_MS);
  }
}
