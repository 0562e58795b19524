/**
 * Keeps one node announced: at start until every authority has taken its descriptor, before each turn of the epoch,
 * and whenever something has changed.
 * @module
 */

import { type IdentityHex, identityHexOf } from '../../core/bytes.ts';
import type { Timer } from '../../core/clock.ts';
import { asMixError, MixError, oneLine } from '../../core/errors.ts';
import { type EpochNumber, laterMs, type MonotonicMs, type UnixMs } from '../../core/units.ts';
import type { Components } from '../../runtime/components.ts';
import { DOCUMENT_VERSION } from '../document-versions.ts';
import { type Descriptor, type DescriptorDraft, parseDescriptor } from '../documents.ts';
import { encodeEnvelope, sign } from '../envelope.ts';
import { JOIN_PROOF_HEADER, joinProof } from '../join-proof.ts';
import { epochMsOf } from '../network-file.ts';
import {
  announceBackoffMs,
  descriptorEpochs,
  exchangeTimeoutMs,
  reannounceMs,
  unsettledAnnounceMs,
} from '../timing.ts';
import type { Verifier } from '../verify.ts';
import { authorityUrl, sendWithin, type Transport } from './transport.ts';

/**
 * Makes the announcement anew each time it is sent. `epochs` are those the descriptor must carry Sphinx keys for:
 * this one and the next, shortly before a turn also the one after.
 */
export type MakeDescriptor = (epochs: readonly EpochNumber[]) => DescriptorDraft | Promise<DescriptorDraft>;

/** An authority's answer to an announcement is one line. */
const MAX_ANSWER_BYTES = 4096;
/** Of that line, in the log. */
const MAX_REFUSAL_CHARS = 300;

export interface AnnouncerOptions {
  readonly verifier: Verifier;
  readonly transport: Transport;
  readonly components: Components;
  readonly makeDescriptor: MakeDescriptor;
  readonly identitySeed: Uint8Array;
  readonly joinToken: string | undefined;
  /** Whether the network has a consensus; until then the node announces again and again. */
  readonly settled: () => boolean;
  readonly onOutcome: (outcome: 'accepted' | 'refused' | 'failed') => void;
}

export class Announcer {
  readonly #stop = new AbortController();
  readonly #identity: IdentityHex;
  /** URLs of the authorities that have not taken the latest announcement. */
  #missing: string[] = [];
  #attempt = 0;
  /** When all are to get the next announcement. */
  #nextMs: MonotonicMs | undefined;
  #timer: Timer | undefined;
  #busy: Promise<void> | undefined;
  #again = false;
  /** The last problem with each authority, or with the own descriptor (''). */
  readonly #complaints = new Map<string, string>();

  constructor(readonly options: AnnouncerOptions) {
    this.#identity = identityHexOf(options.components.crypto.ed25519PublicKey(options.identitySeed));
  }

  /** True once every authority has taken the latest announcement. */
  get accepted(): boolean {
    return this.#missing.length === 0 && !this.#again;
  }

  /** The last problem of those that there are, in one line; undefined without one. */
  get problem(): string | undefined {
    return [...this.#complaints.values()].at(-1);
  }

  /** Announces to all authorities from now on until they have taken it. */
  now(): void {
    this.#missing = this.options.verifier.network.authorities.map((authority) => authority.url);
    this.#attempt = 0;
    this.#nextMs = undefined;
    this.#again = true;
    this.#wake();
  }

  /** Gives up what is under way and resolves when nothing is. */
  async stop(): Promise<void> {
    this.#stop.abort(new MixError('TIMEOUT', 'stopped'));
    this.#timer?.cancel();
    await this.#busy;
  }

  /** One round at a time; a call meanwhile makes another follow. */
  #wake(): void {
    this.#timer?.cancel();
    if (this.#stop.signal.aborted || this.#busy !== undefined) return;
    this.#again = false;
    this.#busy = this.#round().finally(() => {
      this.#busy = undefined;
      if (this.#stop.signal.aborted) return;
      if (this.#again) this.#wake();
      else this.#schedule();
    });
  }

  /** Those who have not taken it are asked again and again; but the next announcement, to all, waits for none of them. */
  #schedule(): void {
    const { clock, rng } = this.options.components;
    const epochMs = epochMsOf(this.options.verifier.network);
    const nowMs = clock.nowMs();
    this.#nextMs ??= laterMs(nowMs, this.#untilNextMs());
    const allMs = Math.max(0, this.#nextMs - nowMs);
    const retryMs = announceBackoffMs(this.#attempt++, epochMs, rng);
    const isRetry = this.#missing.length > 0 && retryMs < allMs;
    this.#timer = isRetry ? clock.after(retryMs, () => this.#wake()) : clock.after(allMs, () => this.now());
  }

  /** How long an announcement stands. */
  #untilNextMs(): number {
    const { clock, rng } = this.options.components;
    const epochMs = epochMsOf(this.options.verifier.network);
    const nowMs = clock.wallMs();
    const turnMs = reannounceMs(nowMs, epochMs, rng) - nowMs;
    return this.options.settled() ? turnMs : Math.min(turnMs, unsettledAnnounceMs(epochMs));
  }

  async #round(): Promise<void> {
    const request = await this.#request();
    if (request === undefined) return;
    const urls = this.#missing;
    const taken = await Promise.all(urls.map((url) => this.#post(url, request)));
    if (!this.#again) this.#missing = urls.filter((_, i) => taken[i] !== true);
  }

  /** Body and headers of an announcement made now; undefined (and reported) when the node can not make one. */
  async #request(): Promise<{ body: string; headers: Record<string, string> } | undefined> {
    const { verifier, components, makeDescriptor, identitySeed, joinToken } = this.options;
    const { crypto, clock } = components;
    const nowMs = Math.floor(clock.wallMs()) as UnixMs;
    try {
      const descriptor: Descriptor = {
        ...(await makeDescriptor(descriptorEpochs(nowMs, epochMsOf(verifier.network)))),
        version: DOCUMENT_VERSION,
        network: verifier.networkIdHex,
        identity: this.#identity,
        publishedMs: nowMs,
      };
      const payload = JSON.stringify(descriptor);
      parseDescriptor(payload); // what is wrong with it is said here, not only by the authority
      const signatures = [sign('descriptor', payload, identitySeed, crypto)];
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (joinToken !== undefined) headers[JOIN_PROOF_HEADER] = joinProof(joinToken, payload, crypto);
      return { body: encodeEnvelope({ payload, signatures }), headers };
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#complain('', asMixError(error).message);
      return undefined;
    }
  }

  async #post(base: string, { body, headers }: { body: string; headers: Record<string, string> }): Promise<boolean> {
    const { transport, verifier, components, onOutcome } = this.options;
    const url = authorityUrl(base, 'descriptor');
    const timeoutMs = exchangeTimeoutMs(epochMsOf(verifier.network));
    const request = { method: 'POST', url, body, headers, maxBytes: MAX_ANSWER_BYTES } as const;
    try {
      const reply = await sendWithin(transport, request, components.clock, timeoutMs, this.#stop.signal);
      if (reply.status === 200) {
        if (this.#complaints.delete(base)) components.log.info({ authority: base }, 'announcement accepted');
        onOutcome('accepted');
        return true;
      }
      onOutcome('refused');
      this.#complain(
        base,
        `${base} refused the announcement: ${oneLine(reply.text, MAX_REFUSAL_CHARS)} (${reply.status})`,
      );
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      onOutcome('failed');
      this.#complain(base, asMixError(error).message);
    }
    return false;
  }

  /** Says each problem once, not with every attempt. */
  #complain(about: string, problem: string): void {
    if (problem === this.#complaints.get(about)) return;
    this.#complaints.set(about, problem);
    this.options.components.log.warn({ problem }, 'not announced; trying on');
  }
}
