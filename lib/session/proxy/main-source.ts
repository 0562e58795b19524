/**
 * What the slots of the proxy's main lane carry: the packets of its sessions, or padding of one of them.
 * @module
 */
import type { Clock } from '../../core/clock.ts';
import type { Rng } from '../../core/rng.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { FrameSource, LaneFrame, MixEndpoint } from '../../endpoint/index.ts';
import type { Components } from '../../runtime/components.ts';
import type { PooledSession } from './identities.ts';
import type { SessionPool } from './session-pool.ts';

export class MainSource implements FrameSource {
  readonly idleIsFree = true;
  readonly #clock: Clock;
  readonly #rng: Rng;
  /** For round robin. */
  #turn = 0;

  constructor(
    { clock, rng }: Pick<Components, 'clock' | 'rng'>,
    private readonly pool: SessionPool,
    private readonly endpoint: Pick<MixEndpoint, 'sealTo' | 'sealDrop' | 'topology'>,
  ) {
    this.#clock = clock;
    this.#rng = rng;
  }

  /**
   * The exit is drawn before it is known who has something to send: where it has nothing itself, a slot that others would
   * use goes to it all the same.
   */
  content(): LaneFrame | undefined {
    const nowMs = this.#clock.nowMs();
    const { sessions } = this.pool;
    if (!sessions.some(({ session }) => session.hasContent(nowMs))) return undefined;
    const atExit = this.#atDrawnExit();
    return atExit.length === sessions.length
      ? this.#dataFrom(sessions)
      : (this.#dataFrom(atExit) ?? this.#paddingFor(atExit));
  }

  /** Padding. */
  idle(): LaneFrame | undefined {
    return this.#paddingFor(this.#atDrawnExit());
  }

  #atDrawnExit(): readonly PooledSession[] {
    const exit = this.pool.drawExit();
    return this.pool.sessions.filter((pooled) => pooled.exit === exit);
  }

  /** Round robin over the sessions that have something to send. */
  #dataFrom(sessions: readonly PooledSession[]): LaneFrame | undefined {
    const nowMs = this.#clock.nowMs();
    for (let i = 0; i < sessions.length; i++) {
      const pooled = sessions[this.#turn++ % sessions.length] as PooledSession;
      const plaintext = pooled.session.fill(nowMs);
      if (plaintext === undefined) continue;
      const sealed = this.endpoint.sealTo(this.#listed(pooled), plaintext);
      if (sealed === undefined) return undefined;
      pooled.session.routeDelayDrawn(sealed.delayMs);
      return sealed;
    }
    return undefined;
  }

  /** Padding of one of `sessions`: packets pay for replies, so each gets as much as it asks for replies. */
  #paddingFor(sessions: readonly PooledSession[]): LaneFrame | undefined {
    const pooled = this.#drawPayer(sessions) ?? sessions[this.#turn++ % sessions.length];
    if (pooled === undefined) return this.endpoint.sealDrop();
    return this.endpoint.sealTo(this.#listed(pooled), pooled.session.padding(this.#clock.nowMs()));
  }

  #drawPayer(sessions: readonly PooledSession[]): PooledSession | undefined {
    let left = this.#rng.uniform() * sessions.reduce((sum, { session }) => sum + session.replyRate, 0);
    return sessions.find(({ session }) => {
      left -= session.replyRate;
      return left < 0;
    });
  }

  /** The requester as the newest consensus has it: its keys and gateway change. */
  #listed({ requester }: PooledSession): NodeEntry {
    return this.endpoint.topology.byId(requester.id) ?? requester;
  }
}
