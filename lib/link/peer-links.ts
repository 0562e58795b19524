/**
 * Outgoing links to nodes: one per peer, kept, dialled again after a loss.
 * @module
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { AddressKey } from '../bytes.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Rng } from '../rng.ts';
import { Backoff } from './backoff.ts';
import { Dial } from './dial.ts';
import type { FrameSocket } from './frame-socket.ts';
import type { NodeIdentity } from './identity.ts';
import { DEFAULT_LINK_LIMITS } from './limits.ts';
import type { LinkMetrics } from './metrics.ts';
import { secureOptionsOf } from './tls.ts';
import type { PeerStatus, PeerTarget, SendOutcome } from './types.ts';

/** A packet waits this long for a link that is down; then it is stale, and a burst of such would show the outage. */
export const HOLD_MS = 1_000;

export interface PeerLinksOptions {
  readonly identity: NodeIdentity;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics?: LinkMetrics;
  /** Frames queued per peer. */
  readonly queueFrames?: number;
  readonly handshakeTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
}

type Settings = Required<Omit<PeerLinksOptions, 'identity' | 'metrics'>> & {
  readonly context: SecureContext;
  readonly metrics: LinkMetrics | undefined;
};

export class PeerLinks {
  readonly #settings: Settings;
  readonly #peers = new Map<AddressKey, PeerLink>();
  #stopped = false;

  constructor(options: PeerLinksOptions) {
    const { identity, ...rest } = options;
    const { queueFrames, handshakeTimeoutMs, stallTimeoutMs } = DEFAULT_LINK_LIMITS;
    const defaults = { queueFrames, handshakeTimeoutMs, stallTimeoutMs, metrics: undefined };
    this.#settings = { ...defaults, ...rest, context: createSecureContext(secureOptionsOf(identity)) };
  }

  /** Dials peers that are new or moved, keeps those that stay, closes those that left. */
  setPeers(peers: readonly PeerTarget[]): void {
    if (this.#stopped) return;
    const wanted = new Map(peers.map((peer) => [peer.addressKey, peer]));
    for (const [key, link] of this.#peers) {
      const target = wanted.get(key);
      if (target?.host === link.target.host && target.port === link.target.port) continue;
      void link.stop();
      this.#peers.delete(key);
    }
    for (const [key, target] of wanted) {
      if (!this.#peers.has(key)) this.#peers.set(key, new PeerLink(target, this.#settings));
    }
  }

  /** Queues one packet for a peer; takes ownership of it. Anything but 'sent' is counted as a drop. */
  send(peer: AddressKey, packet: Uint8Array): SendOutcome {
    const outcome = this.#peers.get(peer)?.send(packet) ?? 'unknown-peer';
    const { metrics } = this.#settings;
    if (outcome === 'sent') metrics?.framesOut.inc({ kind: 'node' });
    else metrics?.dropped.inc({ reason: outcome });
    return outcome;
  }

  status(): PeerStatus[] {
    return [...this.#peers.values()].map((link) => link.status());
  }

  /** Closes all links; resolves when their sockets are closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const links = [...this.#peers.values()];
    this.#peers.clear();
    await Promise.all(links.map((link) => link.stop()));
  }
}

interface Held {
  readonly packet: Uint8Array;
  readonly atMs: number;
}

class PeerLink {
  readonly #backoff: Backoff;
  #dial: Dial | undefined;
  #retry: Timer | undefined;
  #frames: FrameSocket | undefined;
  #upAtMs = 0;
  /** Packets for a link that is not up, oldest first. */
  #held: Held[] = [];
  #lastReason = '';
  #stopped = false;

  constructor(
    readonly target: PeerTarget,
    readonly settings: Settings,
  ) {
    this.#backoff = new Backoff(settings.rng);
    this.#connect();
  }

  send(packet: Uint8Array): SendOutcome {
    const frames = this.#frames;
    if (frames === undefined) return this.#hold(packet) ? 'sent' : 'down';
    if (frames.send(packet)) return 'sent';
    return frames.closed ? 'down' : 'queue-full';
  }

  status(): PeerStatus {
    const state = this.#frames !== undefined ? 'up' : this.#dial !== undefined ? 'connecting' : 'waiting';
    const queued = this.#frames?.queued ?? this.#held.length;
    return { id: this.target.id, state, queued, attempts: this.#backoff.failures, lastReason: this.#lastReason };
  }

  async stop(): Promise<void> {
    const dial = this.#dial;
    this.#stopped = true;
    this.#retry?.cancel();
    dial?.close('closed');
    this.#drop(this.#held.length);
    await dial?.closed;
  }

  #connect(): void {
    const { context, networkId, packetBytes, clock, metrics } = this.settings;
    const { queueFrames, stallTimeoutMs, handshakeTimeoutMs } = this.settings;
    this.#dial = new Dial({
      context,
      target: this.target,
      kind: 'node',
      terms: { networkId, packetBytes },
      clock,
      queueFrames,
      stallTimeoutMs,
      handshakeTimeoutMs,
      onUp: (frames) => this.#onUp(frames),
      onFrame: () => metrics?.dropped.inc({ reason: 'unexpected' }), // links between nodes carry packets one way
      onDown: (reason) => this.#onDown(reason),
    });
  }

  #onUp(frames: FrameSocket): void {
    this.#frames = frames;
    this.#upAtMs = this.settings.clock.nowMs();
    this.#lastReason = '';
    this.#forgetStale();
    const held = this.#held;
    this.#held = [];
    for (const { packet } of held) frames.send(packet);
    this.settings.log.info({ peer: this.target.id }, 'link up');
  }

  #onDown(reason: string): void {
    const { clock, log, metrics } = this.settings;
    if (this.#frames !== undefined) this.#backoff.ended(clock.nowMs() - this.#upAtMs);
    else metrics?.refused.inc({ reason });
    if (reason !== this.#lastReason) log.info({ peer: this.target.id, reason }, 'link down');
    this.#frames = undefined;
    this.#dial = undefined;
    this.#lastReason = reason;
    if (this.#stopped) return;
    this.#retry = clock.after(this.#backoff.nextMs(), () => this.#connect());
  }

  #hold(packet: Uint8Array): boolean {
    this.#forgetStale();
    if (this.#held.length >= this.settings.queueFrames) return false;
    this.#held.push({ packet, atMs: this.settings.clock.nowMs() });
    return true;
  }

  #forgetStale(): void {
    const sinceMs = this.settings.clock.nowMs() - HOLD_MS;
    let stale = 0;
    while ((this.#held[stale]?.atMs ?? Number.POSITIVE_INFINITY) < sinceMs) stale += 1;
    this.#drop(stale);
  }

  #drop(count: number): void {
    if (count === 0) return;
    this.#held.splice(0, count);
    this.settings.metrics?.dropped.inc({ reason: 'down' }, count);
  }
}
