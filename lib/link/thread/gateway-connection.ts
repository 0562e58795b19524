/**
 * The link thread's connection to the gateway. Its users see one thing that takes frames or does not.
 * @module
 */
import { createSecureContext } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import type { Rng } from '../../core/rng.ts';
import type { VersionRange } from '../../core/version-range.ts';
import type { AccessCredential } from '../access.ts';
import type { HelloTerms } from '../hello.ts';
import type { KeyExchange } from '../key-exchange.ts';
import { DEFAULT_LINK_LIMITS } from '../limits.ts';
import { MOVED, PersistentLink } from '../persistent-link.ts';
import { type KeyPair, secureOptionsOf } from '../tls.ts';
import type { ClientTerms, LinkState, LinkTarget } from '../types.ts';

export interface GatewayConnectionOptions {
  readonly terms: HelloTerms;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly client: ClientTerms;
  readonly keyExchange: KeyExchange;
  readonly localAddress: string | undefined;
  readonly onFrame: (frame: Buffer) => void;
  readonly onOtherVersion: (theirs: VersionRange) => void;
  readonly onHello: (frame: Uint8Array) => void;
  /** `group`: that of the key exchange; empty while the link is down. */
  readonly onState: (state: LinkState, reason: string, group: string) => void;
}

export class GatewayConnection {
  readonly #link: PersistentLink;
  readonly #keyExchange: KeyExchange;
  /** Copies of the frames on their way to the kernel, used in turns: their slots in the rings are free at once. */
  readonly #copies: Buffer[] = [];
  #nextCopy = 0;

  constructor(options: GatewayConnectionOptions) {
    this.#keyExchange = options.keyExchange;
    this.#link = new PersistentLink({
      ...options,
      kind: 'client',
      limits: DEFAULT_LINK_LIMITS,
      onUp: (_frames, group) => options.onState('up', 'connected', group),
      onDown: (reason) => options.onState('down', reason, ''),
    });
  }

  get up(): boolean {
    return this.#link.frames !== undefined;
  }

  get queued(): number {
    return this.#link.frames?.queued ?? 0;
  }

  /** Leaves the present gateway, if any, and keeps a link to this one from now on. */
  connect(target: LinkTarget, keys: KeyPair, access: readonly AccessCredential[]): void {
    this.#link.connect(target, createSecureContext(secureOptionsOf(keys, this.#keyExchange)), MOVED, access);
  }

  /** Copies a frame and queues it; false when the link is down or the queue full. */
  readonly send = (frame: Buffer): boolean => {
    const { frames } = this.#link;
    if (frames === undefined || frames.queued >= DEFAULT_LINK_LIMITS.queueFrames) return false;
    // Writes complete in order, so with fewer than `queueFrames` under way the oldest copy is free.
    const at = this.#nextCopy;
    const copy = this.#copies[at] ?? Buffer.alloc(frame.byteLength);
    this.#copies[at] = copy;
    this.#nextCopy = (at + 1) % DEFAULT_LINK_LIMITS.queueFrames;
    copy.set(frame);
    return frames.send(copy) === 'sent';
  };

  close(reason: string): void {
    void this.#link.close(reason);
  }
}
