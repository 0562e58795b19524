/**
 * Asks the authorities, one after the other until one has an answer that holds.
 * @module
 */

import { asMixError, MixError, oneLine } from '../../core/errors.ts';
import type { EpochNumber } from '../../core/units.ts';
import type { Components } from '../../runtime/components.ts';
import { applyDifference, DIFFERENCE_NAME, type DifferenceEnd } from '../consensus-difference.ts';
import { DOCUMENT_VERSIONS, DOCUMENT_VERSIONS_HEADER, versionsField } from '../document-versions.ts';
import {
  type Descriptor,
  MAX_CONSENSUS_BYTES,
  MAX_DESCRIPTOR_LIST_BYTES,
  type NodeRole,
  parseDescriptorList,
} from '../documents.ts';
import { envelopeBytes } from '../envelope.ts';
import { epochMsOf } from '../network-file.ts';
import { DocumentRefused } from '../refusal.ts';
import { exchangeTimeoutMs } from '../timing.ts';
import { ClockCheck } from './clock-check.ts';
import type { ConsensusStore } from './consensus-store.ts';
import { authorityUrl, type HttpReply, IM_USED, sendWithin, type Transport } from './transport.ts';

/** How one authority answered: a document taken in or known already, none yet, or a fault. */
export type Outcome = 'new' | 'known' | 'absent' | 'failed' | 'refused';

/** What an authority answered when it was asked for the consensus of `epoch`. */
export interface Exchange {
  readonly authority: string;
  readonly epoch: EpochNumber;
  readonly outcome: Outcome;
  /** One line; empty when there is none. */
  readonly problem: string;
  /** Of the consensus that it gave, where its signatures hold. */
  readonly given?: EpochNumber | undefined;
}

/** Of the line in which an authority says why it gives no consensus. */
const MAX_REFUSAL_CHARS = 200;

export interface FetcherOptions {
  readonly store: ConsensusStore;
  readonly transport: Transport;
  readonly components: Components;
  readonly stopped: AbortSignal;
  /** Called with each authority's answer. */
  readonly onExchange: (exchange: Exchange) => void;
}

export class Fetcher {
  readonly clock: ClockCheck;
  readonly #countDifference: (result: 'used' | 'refused') => void;
  #problem = 'no authority has been asked yet';
  #turn: number;

  constructor(readonly options: FetcherOptions) {
    this.clock = new ClockCheck(epochMsOf(options.store.verifier.network));
    this.#turn = options.components.rng.int(this.#urls.length);
    const { metrics } = options.components;
    const differences = metrics.counter('consensus_differences_total', 'Consensuses got as differences', ['result']);
    this.#countDifference = (result) => differences.inc({ result });
  }

  /** Why there is no consensus: a wrong clock, or the problem of the last authority that gave none or a bad answer. */
  get problem(): string {
    return this.clock.fault ?? this.#problem;
  }

  get #urls(): string[] {
    return this.options.store.verifier.network.authorities.map((authority) => authority.url);
  }

  /** Gets the consensus of `epoch`, or compares the one held with what the next authority has. True when it is held. */
  async consensus(epoch: EpochNumber): Promise<boolean> {
    for (const url of this.#inTurn()) {
      const outcome = await this.#consensusFrom(url, epoch);
      if (outcome === 'new' || outcome === 'known') return true;
      if (this.options.stopped.aborted) return false;
    }
    return false;
  }

  /** The descriptors of `role` that an authority holds, those that do not verify left out. Throws NO_CONSENSUS. */
  async descriptors(role?: NodeRole): Promise<Descriptor[]> {
    const path = role === undefined ? 'descriptors' : `descriptors?role=${role}`;
    for (const url of this.#inTurn()) {
      try {
        const reply = await this.#get(url, path, MAX_DESCRIPTOR_LIST_BYTES);
        if (reply.status === 200) return this.#readDescriptors(reply.text);
        this.#problem = `${url} answered ${reply.status}`;
      } catch (error) {
        this.#problem = asMixError(error).message;
      }
    }
    throw new MixError('NO_CONSENSUS', `no authority gave its descriptors: ${this.problem}`);
  }

  async #consensusFrom(url: string, epoch: EpochNumber): Promise<Outcome> {
    const { store, components } = this.options;
    const digest = store.digest(epoch);
    const base = digest === undefined ? store.before(epoch) : undefined;
    const note = (outcome: Outcome, problem = '', given?: EpochNumber) =>
      this.#note({ authority: url, epoch, outcome, problem, given });
    try {
      let reply = await this.#askFor(url, epoch, digest ?? base?.digest, base !== undefined);
      if (reply.status === IM_USED && base !== undefined) {
        const outcome = this.#takeDifference(reply, base, epoch);
        if (outcome !== undefined) return note(outcome, '', epoch);
        reply = await this.#askFor(url, epoch);
      }
      if (reply.status === 304 && digest !== undefined) {
        store.confirm(epoch);
        return note('known', '', epoch);
      }
      if (reply.status === 404) return note('absent', `${url} has no consensus for epoch ${epoch} yet`);
      if (reply.status === 406) return note('refused', `${url}: ${oneLine(reply.text, MAX_REFUSAL_CHARS)} (406)`);
      if (reply.status !== 200) return note('failed', `${url} answered ${reply.status}`);
      return note(store.offer(reply.text, components.clock.wallMs(), 'authority', epoch), '', epoch);
    } catch (error) {
      const { message } = asMixError(error);
      // Faults of the exchange name the authority already.
      if (!(error instanceof DocumentRefused)) return note('failed', message);
      return note('refused', `${url}: ${message}`, error.epoch);
    }
  }

  #askFor(url: string, epoch: EpochNumber, known?: string, difference = false): Promise<HttpReply> {
    const headers = {
      [DOCUMENT_VERSIONS_HEADER]: versionsField(DOCUMENT_VERSIONS),
      ...(known === undefined ? {} : { 'if-none-match': `"${known}"` }),
      ...(difference ? { 'a-im': DIFFERENCE_NAME } : {}),
    };
    return this.#get(url, `consensus/${epoch}`, envelopeBytes(MAX_CONSENSUS_BYTES), headers);
  }

  /** Takes in what a difference makes; undefined when that is refused: then the whole decides. */
  #takeDifference({ bytes }: HttpReply, base: DifferenceEnd, epoch: EpochNumber): Outcome | undefined {
    const { store, components } = this.options;
    try {
      const text = applyDifference(bytes ?? new Uint8Array(), base, components.crypto);
      const outcome = store.offer(text, components.clock.wallMs(), 'authority', epoch);
      this.#countDifference('used');
      return outcome;
    } catch (error) {
      if (!(error instanceof DocumentRefused)) throw error;
      this.#countDifference('refused');
      return undefined;
    }
  }

  async #get(base: string, path: string, maxBytes: number, headers: Record<string, string> = {}): Promise<HttpReply> {
    const { transport, components, stopped, store } = this.options;
    const { clock } = components;
    const timeoutMs = exchangeTimeoutMs(epochMsOf(store.verifier.network));
    const request = { method: 'GET', url: authorityUrl(base, path), headers, maxBytes } as const;
    const reply = await sendWithin(transport, request, clock, timeoutMs, stopped);
    this.clock.observe(base, reply.dateMs, clock.wallMs());
    return reply;
  }

  #note(exchange: Exchange): Outcome {
    const { outcome, problem } = exchange;
    if (this.options.stopped.aborted) return outcome;
    if (problem !== '') this.#problem = problem;
    this.options.onExchange(exchange);
    return outcome;
  }

  #readDescriptors(text: string): Descriptor[] {
    const found = new Map<string, Descriptor>();
    for (const envelope of parseDescriptorList(text)) {
      try {
        const { descriptor } = this.options.store.verifier.descriptor(envelope);
        found.set(descriptor.identity, descriptor);
      } catch {
        // One bad entry must not hide the good ones.
      }
    }
    return [...found.values()];
  }

  /** All authorities, starting with another one each time. */
  #inTurn(): string[] {
    const urls = this.#urls;
    const first = this.#turn++ % urls.length;
    return [...urls.slice(first), ...urls.slice(0, first)];
  }
}
