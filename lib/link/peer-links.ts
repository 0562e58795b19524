/**
 * Outgoing links to nodes: one per peer, kept, dialled again after a loss.
 * @module
 */

import { createSecureContext, type SecureContext } from 'node:tls';
import type { AddressKey, IdentityHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { MemoryAccount, MemoryBudget } from '../core/memory-budget.ts';
import type { Rng } from '../core/rng.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { Log } from '../telemetry/log.ts';
import type { FrameSocket } from './frame-socket.ts';
import type { HelloTerms } from './hello.ts';
import type { NodeIdentity } from './identity.ts';
import { type KeyExchange, NO_COMMON_GROUP } from './key-exchange.ts';
import { DEFAULT_LINK_LIMITS } from './limits.ts';
import type { LinkMetrics } from './metrics.ts';
import { PersistentLink } from './persistent-link.ts';
import { LinkRefusalLog } from './refusal-log.ts';
import { secureOptionsOf } from './tls.ts';
import { isSamePlace, type PeerStatus, type PeerTarget, type SendResult } from './types.ts';

/** A packet waits this long for a link that is down; then it is stale, and a burst of such would show the outage. */
export const PEER_HOLD_MS = 1_000;

/** Memory of a packet that is held, beside its bytes. */
const HELD_OVERHEAD_BYTES = 256;

export interface PeerLinksOptions extends HelloTerms {
  readonly identity: NodeIdentity;
  readonly keyExchange: KeyExchange;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly memory?: MemoryBudget;
  readonly metrics?: LinkMetrics;
  /** What became of `packets` packets. Each packet is reported once, at `send` or, if it was held, later. */
  readonly onResult?: (result: SendResult, packets: number) => void;
  /** The address of this machine to dial from. */
  readonly localAddress?: string | undefined;
  /** Frames queued per peer. */
  readonly queueFrames?: number;
  readonly handshakeTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
}

export class PeerLinks {
  readonly #context: SecureContext;
  readonly #peers = new Map<AddressKey, PeerLink>();
  #stopped = false;

  constructor(private readonly options: PeerLinksOptions) {
    this.#context = createSecureContext(secureOptionsOf(options.identity, options.keyExchange));
  }

  /** Dials peers that are new or moved, keeps those that stay, closes those that left. */
  setPeers(peers: readonly PeerTarget[]): void {
    if (this.#stopped) return;
    const wanted = new Set(peers.map(({ addressKey }) => addressKey));
    for (const [key, link] of this.#peers) {
      if (wanted.has(key)) continue;
      void link.stop();
      this.#peers.delete(key);
    }
    for (const target of peers) {
      let link = this.#peers.get(target.addressKey);
      if (link === undefined) {
        link = new PeerLink(target.id, this.options);
        this.#peers.set(target.addressKey, link);
      }
      link.connect(target, this.#context);
    }
  }

  /** The link to a peer, up or not; undefined when it is none. */
  find(peer: AddressKey): PeerLink | undefined {
    return this.#peers.get(peer);
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
  readonly atMs: MonotonicMs;
}

/** The link to one peer. Packets for it wait a moment while it is down. */
export class PeerLink {
  readonly #link: PersistentLink;
  #target: PeerTarget | undefined;
  /** Packets for a link that is not up, oldest first. */
  #held: Held[] = [];
  readonly #heldMemory: MemoryAccount | undefined;
  readonly #queueFrames: number;
  #lastReason = '';
  readonly #refusals: LinkRefusalLog;
  /** Of the key exchange; empty while the link is down. */
  #group = '';
  #version: number | undefined;

  constructor(
    readonly id: IdentityHex,
    readonly options: PeerLinksOptions,
  ) {
    const { networkId, packetBytes, versions, keyExchange, localAddress, clock, rng, metrics, log, memory } = options;
    this.#refusals = new LinkRefusalLog(clock, log, keyExchange);
    const { queueFrames, handshakeTimeoutMs, stallTimeoutMs } = { ...DEFAULT_LINK_LIMITS, ...options };
    this.#queueFrames = queueFrames;
    this.#heldMemory = memory?.account('links', () => this.#dropHeld(this.#held.length));
    this.#link = new PersistentLink({
      kind: 'node',
      terms: { networkId, packetBytes, versions },
      keyExchange,
      localAddress,
      clock,
      rng,
      limits: { queueFrames, handshakeTimeoutMs, stallTimeoutMs },
      ...(memory === undefined ? {} : { memory }),
      onFrame: () => metrics?.dropped.inc({ reason: 'unexpected' }), // links between nodes carry packets one way
      onOtherVersion: (theirs) => this.#refusals.otherVersion(theirs, versions),
      onUp: (...up) => this.#onUp(...up),
      onDown: (reason, wasUp) => this.#onDown(reason, wasUp),
    });
  }

  /** Keeps a link to the peer at these addresses; nothing to do if it is there already. */
  connect(target: PeerTarget, context: SecureContext): void {
    if (this.#target !== undefined && isSamePlace(target, this.#target)) return;
    this.#target = target;
    this.#link.connect(target, context, 'closed');
  }

  /** Queues one packet, or holds it while the link is down; takes ownership of it. */
  send(packet: Uint8Array): void {
    const { frames } = this.#link;
    if (frames !== undefined) this.#report(frames.send(packet));
    else this.#hold(packet);
  }

  status(): PeerStatus {
    const { state, attempts, frames } = this.#link;
    return {
      id: this.id,
      state,
      queued: frames?.queued ?? this.#held.length,
      attempts,
      lastReason: this.#lastReason,
      group: this.#group,
      version: this.#version,
    };
  }

  async stop(): Promise<void> {
    const closed = this.#link.close('closed');
    this.#dropHeld(this.#held.length);
    await closed;
  }

  #onUp(frames: FrameSocket, group: string, version: number): void {
    this.#lastReason = '';
    this.#group = group;
    this.#version = version;
    this.options.metrics?.dialled.up(group);
    this.#dropStale();
    for (const { packet } of this.#held.splice(0)) this.#report(frames.send(packet));
    this.#heldMemory?.set(0);
    this.options.log.info({ peer: this.id, group, version }, 'link up');
  }

  #onDown(reason: string, wasUp: boolean): void {
    if (wasUp) this.options.metrics?.dialled.down(this.#group);
    else this.options.metrics?.refused.inc({ reason });
    this.#group = '';
    this.#version = undefined;
    if (reason === NO_COMMON_GROUP) this.#refusals.noCommonGroup({ peer: this.id });
    if (reason !== this.#lastReason) this.options.log.info({ peer: this.id, reason }, 'link down');
    this.#lastReason = reason;
  }

  #hold(packet: Uint8Array): void {
    this.#dropStale();
    if (this.#held.length >= this.#queueFrames) this.#report('link-down');
    else this.#held.push({ packet, atMs: this.options.clock.nowMs() });
    this.#countHeld();
  }

  #dropStale(): void {
    const sinceMs = this.options.clock.nowMs() - PEER_HOLD_MS;
    const fresh = this.#held.findIndex(({ atMs }) => atMs >= sinceMs);
    this.#dropHeld(fresh === -1 ? this.#held.length : fresh);
  }

  #dropHeld(count: number): void {
    if (count === 0) return;
    this.#held.splice(0, count);
    this.#countHeld();
    this.#report('link-down', count);
  }

  #countHeld(): void {
    this.#heldMemory?.set(this.#held.length * (this.options.packetBytes + HELD_OVERHEAD_BYTES));
  }

  #report(result: SendResult, packets = 1): void {
    this.options.metrics?.sent('node', result, packets);
    this.options.onResult?.(result, packets);
  }
}
