/**
 * A link that is kept: dialled, and dialled again with back-off after a loss.
 * @module
 */
import type { SecureContext } from 'node:tls';
import type { Clock, Timer } from '../core/clock.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { Rng } from '../core/rng.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { AccessCredential } from './access.ts';
import { Backoff } from './backoff.ts';
import { Dial } from './dial.ts';
import type { FrameSocket } from './frame-socket.ts';
import type { HelloTerms } from './hello.ts';
import type { KeyExchange } from './key-exchange.ts';
import { FULL, isAccessRefusal } from './refusals.ts';
import type { ClientTerms, LinkKind, LinkLimits, LinkTarget } from './types.ts';

/** Bounds of the first and of the longest wait after an acceptor said that it is full: thousands may wait for a place. */
export const FULL_BASE_MS = 5_000;
export const FULL_CAP_MS = 120_000;

/** The same after it has refused for want of an invitation: a person may mend that, or an exit that is new be listed. */
export const ACCESS_BASE_MS = 1_000;
export const ACCESS_CAP_MS = 30_000;

/** The reason of a link that is left for another target. */
export const MOVED = 'moved';

export interface PersistentLinkOptions {
  readonly kind: LinkKind;
  readonly terms: HelloTerms;
  readonly client?: ClientTerms;
  readonly keyExchange: KeyExchange;
  readonly localAddress?: string | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limits: Pick<LinkLimits, 'queueFrames' | 'stallTimeoutMs' | 'handshakeTimeoutMs'>;
  readonly memory?: MemoryBudget;
  readonly onFrame: (frame: Buffer) => void;
  readonly onOtherVersion: (theirs: VersionRange) => void;
  /** `group`: that of the key exchange. */
  readonly onUp: (frames: FrameSocket, group: string, version: number) => void;
  readonly onHello?: (frame: Uint8Array) => void;
  /** The link ended (`wasUp`), or an attempt to dial failed. */
  readonly onDown: (reason: string, wasUp: boolean) => void;
}

export class PersistentLink {
  readonly #backoff: Backoff;
  /** Goes on where another target is full, too. */
  readonly #fullBackoff: Backoff;
  readonly #accessBackoff: Backoff;
  /** Credentials that were refused. */
  #refusedCredentials = 0;
  #dial: Dial | undefined;
  #retry: Timer | undefined;
  #frames: FrameSocket | undefined;
  #upAtMs: MonotonicMs | undefined;
  /** The order of a target's addresses. What answers at the first may be no node, or lose what comes after the connection. */
  #ipv4First = false;

  constructor(private readonly options: PersistentLinkOptions) {
    this.#backoff = new Backoff(options.rng);
    this.#fullBackoff = new Backoff(options.rng, FULL_BASE_MS, FULL_CAP_MS);
    this.#accessBackoff = new Backoff(options.rng, ACCESS_BASE_MS, ACCESS_CAP_MS);
  }

  /** Where frames go; undefined while the link is down. */
  get frames(): FrameSocket | undefined {
    return this.#frames;
  }

  get state(): 'up' | 'connecting' | 'waiting' {
    if (this.#frames !== undefined) return 'up';
    return this.#dial === undefined ? 'waiting' : 'connecting';
  }

  /** Failed attempts since the link was last up for a while. */
  get attempts(): number {
    return this.#backoff.failures;
  }

  /**
   * Leaves the present target, if any, for `reason`, and keeps a link to this one from now on. Of several credentials in `access` one is
   * shown, and another when that was refused.
   */
  connect(target: LinkTarget, context: SecureContext, reason = MOVED, access: readonly AccessCredential[] = []): void {
    void this.close(reason);
    this.#backoff.reset();
    this.#dialNow(target, context, access);
  }

  /** Closes the link and dials no more; resolves when its socket is closed. `onDown` gets `reason` first. */
  async close(reason: string): Promise<void> {
    this.#retry?.cancel();
    const dial = this.#dial;
    this.#dial = undefined;
    dial?.close(reason);
    await dial?.closed;
  }

  #dialNow(target: LinkTarget, context: SecureContext, access: readonly AccessCredential[]): void {
    const { limits, clock } = this.options;
    const dial: Dial = Dial.start({
      ...this.options,
      ...limits,
      context,
      target,
      ipv4First: this.#ipv4First,
      access: access[this.#refusedCredentials % Math.max(1, access.length)],
      onUp: (frames, _extra, group, version) => this.#onUp(frames, group, version),
      onDown: (reason) => {
        const lost = this.#dial === dial; // else it was closed by `close`
        if (lost) this.#dial = undefined;
        if (this.#frames === undefined) this.#ipv4First = !this.#ipv4First;
        if (isAccessRefusal(reason)) this.#refusedCredentials += 1;
        this.#onDown(reason);
        if (lost && this.#dial === undefined) {
          this.#retry = clock.after(this.#backoffAfter(reason).nextMs(), () => this.#dialNow(target, context, access));
        }
      },
    });
    this.#dial = dial;
  }

  #backoffAfter(reason: string): Backoff {
    if (reason === FULL) return this.#fullBackoff;
    return isAccessRefusal(reason) ? this.#accessBackoff : this.#backoff;
  }

  #onUp(frames: FrameSocket, group: string, version: number): void {
    this.#frames = frames;
    this.#upAtMs = this.options.clock.nowMs();
    this.#fullBackoff.reset();
    this.#accessBackoff.reset();
    this.options.onUp(frames, group, version);
  }

  #onDown(reason: string): void {
    const wasUp = this.#frames !== undefined;
    if (this.#upAtMs !== undefined) this.#backoff.ended(this.options.clock.nowMs() - this.#upAtMs);
    this.#frames = undefined;
    this.#upAtMs = undefined;
    this.options.onDown(reason, wasUp);
  }
}
