/**
 * Where a member's consensus comes from: authorities, which it asks, and gateways, which hand on what they have. Keeps account of who
 * gave what, and takes in what gateways bring.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { asMixError } from '../../core/errors.ts';
import { epochAt } from '../../core/params.ts';
import type { EpochNumber } from '../../core/units.ts';
import type { Components } from '../../runtime/components.ts';
import type { ConsensusText } from '../consensus-pieces.ts';
import { DocumentRefused } from '../refusal.ts';
import type { ConsensusStore, DocumentOrigin } from './consensus-store.ts';
import type { Exchange } from './fetcher.ts';
import { GatewaySource, type HandedOutcome } from './gateway-source.ts';
import { type ConsensusSource, type LaggingSource, SourceWatch } from './source-watch.ts';

/** What a member knows of where its consensus comes from. */
export interface SourcesStatus {
  /** Who gave the consensus in force; null without one. */
  readonly origin: DocumentOrigin | null;
  /** Authorities and gateways that have not given it. */
  readonly lagging: readonly LaggingSource[];
  /** The last epoch for which authorities signed two, and the URLs of those that signed both. */
  readonly signedTwice: { readonly epoch: EpochNumber; readonly authorities: readonly string[] } | null;
}

export class DirectorySources {
  readonly #watch: SourceWatch;
  readonly #countHanded: (outcome: HandedOutcome) => void;

  constructor(
    readonly store: ConsensusStore,
    readonly components: Components,
    /** A gateway has handed on a document that was not held like that; `isNew`: it is now. */
    readonly onHanded: (isNew: boolean) => void,
  ) {
    this.#watch = new SourceWatch(store.epochMs);
    const handed = components.metrics.counter('consensus_handed_total', 'What gateways handed on', ['result']);
    this.#countHanded = (result) => handed.inc({ result });
  }

  get status(): SourcesStatus {
    const nowMs = this.components.clock.wallMs();
    const epoch = this.store.inForce(nowMs)?.epoch;
    const twice = this.store.evidence.at(-1);
    return {
      origin: (epoch === undefined ? undefined : this.store.originOf(epoch)) ?? null,
      lagging: this.#watch.lagging(epoch, nowMs),
      signedTwice: twice === undefined ? null : { epoch: twice.epoch, authorities: this.urlsOf(twice.signers) },
    };
  }

  /** The URLs of authorities. */
  urlsOf(ids: readonly IdentityHex[]): string[] {
    const { authorities } = this.store.verifier.network;
    return authorities.filter(({ id }) => ids.includes(id)).map(({ url }) => url);
  }

  /** An authority has answered. Before a network's first consensus none can be behind. */
  onExchange({ authority, epoch, problem, given }: Exchange): void {
    const nowMs = this.components.clock.wallMs();
    if (problem === '') this.#watch.authorityGave(authority, epoch);
    else if (this.store.inForce(nowMs) !== undefined) {
      this.#watch.authorityFailed(authority, epoch, nowMs, problem, given);
    }
  }

  /** For a link to a gateway. */
  gatewaySource(): GatewaySource {
    const { clock } = this.components;
    const { epochMs } = this.store;
    return new GatewaySource({
      epochMs,
      nowMs: () => clock.nowMs(),
      wanted: (epoch) => Math.abs(epoch - epochAt(clock.wallMs(), epochMs)) <= 1,
      isHeld: (document) => this.store.isHeld(document),
      take: (document, from) => this.#take(document, from),
      onUp: (gateway, before) => this.#watch.gatewayUp(gateway, clock.wallMs(), before),
      onDown: (gateway) => this.#watch.gatewayDown(gateway),
      onOutcome: this.#countHanded,
    });
  }

  #take({ epoch, text }: ConsensusText, from: ConsensusSource): 'new' | 'known' | 'refused' {
    const result = this.#offer(text, epoch, from);
    this.onHanded(result === 'new');
    return result;
  }

  #offer(text: string, epoch: EpochNumber, from: ConsensusSource): 'new' | 'known' | 'refused' {
    const { clock, log } = this.components;
    try {
      const result = this.store.offer(text, clock.wallMs(), 'gateway', epoch);
      from.gave(epoch);
      return result;
    } catch (error) {
      const { message } = asMixError(error);
      from.failed(message, error instanceof DocumentRefused ? error.epoch : undefined);
      log.debug({ gateway: from.name, problem: message }, 'what a gateway handed on is not used');
      return 'refused';
    }
  }
}
