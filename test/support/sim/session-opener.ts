import { setImmediate as turn } from 'node:timers/promises';
import type { OpenTarget, StreamOpener, StreamTimes } from '../../../lib/access/opener.ts';
import { DEFAULT_SESSION_PARAMS } from '../../../lib/core/session-params.ts';
import type { AcceptHandler, SessionStream, StreamHandlers } from '../../../lib/session/index.ts';
import { monotonic } from '../units.ts';
import { SessionSim } from './session-sim.ts';

/** Virtual time per turn of the event loop. */
const STEP_MS = 2;
/** Packets per second each way. */
const RATE = 4000;
/** Share of packets that each mix drops: 2 % on the way. */
const LOSS_PER_MIX = 0.0067;

/**
 * An opener for a front with real sockets, over a session in the simulated mixnet: its packets are late, out of order, and some
 * of them lost. Virtual time moves with the event loop, so that nothing depends on the machine's speed.
 */
export class SessionOpener implements StreamOpener {
  times: StreamTimes = DEFAULT_SESSION_PARAMS;
  readonly sim: SessionSim;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(accept: AcceptHandler) {
    const loss = { lossUp: LOSS_PER_MIX, lossDown: LOSS_PER_MIX };
    this.sim = new SessionSim({
      seed: 42,
      accept,
      mainRate: RATE,
      replyRate: RATE,
      meanDelayMs: 1,
      linkMs: 0,
      ...loss,
    });
    this.#running = this.#run();
  }

  open({ kind, host, port }: OpenTarget, handlers: StreamHandlers): SessionStream {
    return this.sim.proxy.open({ kind, host, port }, handlers, monotonic(this.sim.nowMs));
  }

  suits(): boolean {
    return true;
  }

  /** Streams that either end still knows. */
  streamsOpen(): number {
    const far = [...this.sim.table.sessions()].reduce((sum, session) => sum + session.stats().streamsOpen, 0);
    return far + this.sim.proxy.stats().streamsOpen;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.sim.run(STEP_MS);
      await turn();
    }
  }
}
