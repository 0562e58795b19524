/**
 * Asks the authorities, one after the other until one has an answer that holds.
 * @module
 */
import { z } from 'zod';
import type { Components } from '../components.ts';
import { asMixError, MixError } from '../errors.ts';
import type { ConsensusStore } from './consensus-store.ts';
import { type Descriptor, MAX_CONSENSUS_BYTES, type NodeRole } from './documents.ts';
import { envelopeBytes } from './envelope.ts';
import { epochMsOf } from './network-file.ts';
import { DocumentRefused } from './refusal.ts';
import { exchangeTimeoutMs } from './timing.ts';
import { authorityUrl, type HttpReply, sendWithin, type Transport } from './transport.ts';

/** How one authority answered: a document taken in or known already, none yet, or a fault. */
export type Outcome = 'new' | 'known' | 'absent' | 'failed' | 'refused';

/** Bytes of the list of all descriptors. */
export const MAX_DESCRIPTOR_LIST_BYTES = 32 * 1024 * 1024;

const descriptorList = z.strictObject({ descriptors: z.array(z.unknown()) });

export interface FetcherOptions {
  readonly store: ConsensusStore;
  readonly transport: Transport;
  readonly components: Components;
  readonly stopped: AbortSignal;
  /** Told of each authority's answer; `problem` is one line. */
  readonly onOutcome: (outcome: Outcome, problem: string) => void;
}

export class Fetcher {
  /** The problem of the last authority that gave none or a bad answer. */
  problem = 'no authority has been asked yet';
  #turn: number;

  constructor(readonly options: FetcherOptions) {
    this.#turn = options.components.rng.int(this.#urls.length);
  }

  get #urls(): string[] {
    return this.options.store.verifier.network.authorities.map((authority) => authority.url);
  }

  /** Gets the consensus of `epoch`, or compares the one held with what the next authority has. True when it is held. */
  async consensus(epoch: number): Promise<boolean> {
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
        const reply = await this.#get(authorityUrl(url, path), MAX_DESCRIPTOR_LIST_BYTES);
        if (reply.status === 200) return this.#readDescriptors(reply.text);
        this.problem = `${url} answered ${reply.status}`;
      } catch (error) {
        this.problem = asMixError(error).message;
      }
    }
    throw new MixError('NO_CONSENSUS', `no authority gave its descriptors: ${this.problem}`);
  }

  async #consensusFrom(url: string, epoch: number): Promise<Outcome> {
    const { store, components } = this.options;
    const digest = store.digest(epoch);
    const headers = digest === undefined ? {} : { 'if-none-match': `"${digest}"` };
    try {
      const target = authorityUrl(url, `consensus/${epoch}`);
      const reply = await this.#get(target, envelopeBytes(MAX_CONSENSUS_BYTES), headers);
      if (reply.status === 304 && digest !== undefined) return this.#note('known', '');
      if (reply.status === 404) return this.#note('absent', `${url} has no consensus for epoch ${epoch} yet`);
      if (reply.status !== 200) return this.#note('failed', `${url} answered ${reply.status}`);
      return this.#note(store.offer(reply.text, components.clock.wallMs(), 'network', epoch), '');
    } catch (error) {
      const { message } = asMixError(error);
      // Faults of the exchange name the authority already.
      return error instanceof DocumentRefused
        ? this.#note('refused', `${url}: ${message}`)
        : this.#note('failed', message);
    }
  }

  #get(url: string, maxBytes: number, headers: Record<string, string> = {}): Promise<HttpReply> {
    const { transport, components, stopped, store } = this.options;
    const timeoutMs = exchangeTimeoutMs(epochMsOf(store.verifier.network));
    return sendWithin(transport, { method: 'GET', url, headers, maxBytes }, components.clock, timeoutMs, stopped);
  }

  #note(outcome: Outcome, problem: string): Outcome {
    if (this.options.stopped.aborted) return outcome;
    if (problem !== '') this.problem = problem;
    this.options.onOutcome(outcome, problem);
    return outcome;
  }

  #readDescriptors(text: string): Descriptor[] {
    const parsed = descriptorList.safeParse(JSON.parse(text));
    if (!parsed.success) throw new MixError('MALFORMED', 'the list of descriptors is not one');
    const found = new Map<string, Descriptor>();
    for (const envelope of parsed.data.descriptors) {
      try {
        const { descriptor } = this.options.store.verifier.descriptor(JSON.stringify(envelope));
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
