/**
 * The link thread's connection to the gateway: dialled, kept, dialled again after a loss. Its users see one thing that
 * takes frames or does not.
 * @module
 */
import { createSecureContext } from 'node:tls';
import type { Clock, Timer } from '../../clock.ts';
import type { Rng } from '../../rng.ts';
import { Backoff } from '../backoff.ts';
import { Dial } from '../dial.ts';
import type { FrameSocket } from '../frame-socket.ts';
import type { HelloTerms } from '../hello.ts';
import { DEFAULT_LINK_LIMITS } from '../limits.ts';
import { type KeyPair, secureOptionsOf } from '../tls.ts';
import type { LinkState, LinkTarget } from '../types.ts';

export interface UplinkOptions {
  readonly terms: HelloTerms;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly onFrame: (frame: Buffer) => void;
  readonly onState: (state: LinkState, reason: string) => void;
}

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #backoff: Backoff;
  /** Copies of the frames on their way to the kernel, used in turns: their slots in the rings are free at once. */
  readonly #copies: Buffer[] = [];
  #nextCopy = 0;
  #dial: Dial | undefined;
  #frames: FrameSocket | undefined;
  #retry: Timer | undefined;
  #upAtMs = 0;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.rng);
  }

  get up(): boolean {
    return this.#frames !== undefined;
  }

  get queued(): number {
    return this.#frames?.queued ?? 0;
  }

  /** Leaves the present gateway, if any, and keeps a link to this one from now on. */
  connect(target: LinkTarget, keys: KeyPair): void {
    this.close('moved');
    this.#backoff.reset();
    this.#dialNow(target, createSecureContext(secureOptionsOf(keys)));
  }

  /** Copies a frame and queues it; false when the link is down or the queue full. */
  readonly send = (frame: Buffer): boolean => {
    const frames = this.#frames;
    if (frames === undefined || frames.queued >= DEFAULT_LINK_LIMITS.queueFrames) return false;
    // Writes complete in order, so with fewer than `queueFrames` under way the oldest copy is free.
    const at = this.#nextCopy;
    const copy = this.#copies[at] ?? Buffer.alloc(frame.byteLength);
    this.#copies[at] = copy;
    this.#nextCopy = (at + 1) % DEFAULT_LINK_LIMITS.queueFrames;
    copy.set(frame);
    return frames.send(copy);
  };

  close(reason: string): void {
    this.#retry?.cancel();
    const dial = this.#dial;
    this.#dial = undefined;
    dial?.close(reason);
  }

  #dialNow(target: LinkTarget, context: ReturnType<typeof createSecureContext>): void {
    const { terms, clock, onFrame } = this.#options;
    const { queueFrames, stallTimeoutMs, handshakeTimeoutMs } = DEFAULT_LINK_LIMITS;
    const dial: Dial = new Dial({
      context,
      target,
      kind: 'client',
      terms,
      clock,
      queueFrames,
      stallTimeoutMs,
      handshakeTimeoutMs,
      onFrame,
      onUp: (frames) => this.#onUp(frames),
      onDown: (reason) => {
        this.#onDown(reason);
        if (this.#dial !== dial) return; // closed by us
        this.#dial = undefined;
        this.#retry = clock.after(this.#backoff.nextMs(), () => this.#dialNow(target, context));
      },
    });
    this.#dial = dial;
  }

  #onUp(frames: FrameSocket): void {
    this.#frames = frames;
    this.#upAtMs = this.#options.clock.nowMs();
    this.#options.onState('up', 'connected');
  }

  #onDown(reason: string): void {
    if (this.#frames !== undefined) this.#backoff.ended(this.#options.clock.nowMs() - this.#upAtMs);
    this.#frames = undefined;
    this.#options.onState('down', reason);
  }
}
