/**
 * The word of the gateways that they serve this requester, for its descriptor: asked for by a connection of its own, and anew each day.
 * @module
 */
import type { IdentityHex } from '../lib/core/bytes.ts';
import { packetBytes } from '../lib/core/params.ts';
import { laterMs, type MonotonicMs } from '../lib/core/units.ts';
import {
  type Countersignature,
  MAX_COUNTERSIGNATURE_AGE_MS,
  type NetworkFile,
  networkId,
  readCountersignature,
} from '../lib/directory/index.ts';
import {
  askCountersignature,
  type ClientTerms,
  type KeyExchange,
  LinkRefusalLog,
  type LinkTarget,
  NO_COMMON_GROUP,
  type NodeIdentity,
} from '../lib/link/index.ts';
import type { Components } from '../lib/runtime/components.ts';

/** An older one is renewed. */
export const RENEW_COUNTERSIGNATURE_AFTER_MS = MAX_COUNTERSIGNATURE_AGE_MS / 7;

/** A gateway that takes none of our groups will not before one of the two ends has started anew: it is not asked in this time. */
export const NO_COMMON_GROUP_PAUSE_MS = 5_000;

/** What of the configuration concerns the links to the gateways. */
interface LinkConfig {
  readonly trafficClass: string;
  readonly linkKeyExchange: KeyExchange;
}

export class Countersignatures {
  readonly #held = new Map<IdentityHex, Countersignature>();
  #asking: Promise<void> = Promise.resolve();

  readonly #client: ClientTerms;
  readonly #keyExchange: KeyExchange;
  readonly #refusals: LinkRefusalLog;
  /** Until when a gateway is left alone. */
  readonly #pausedUntilMs = new Map<IdentityHex, MonotonicMs>();

  constructor(
    private readonly components: Components,
    private readonly identity: NodeIdentity,
    private readonly network: NetworkFile,
    config: LinkConfig,
  ) {
    this.#client = { trafficClass: config.trafficClass, clocked: false };
    this.#keyExchange = config.linkKeyExchange;
    this.#refusals = new LinkRefusalLog(components.clock, components.log, config.linkKeyExchange);
  }

  /** Those of `gateways` that are held and not too old. */
  of(gateways: readonly IdentityHex[]): Countersignature[] {
    return gateways.flatMap((id) => {
      const held = this.#held.get(id);
      return held === undefined || this.#ageMs(held) > MAX_COUNTERSIGNATURE_AGE_MS ? [] : [held];
    });
  }

  /**
   * Asks those of `wanted` that have not given one lately, where `known` has them; forgets all others. Resolves when they have
   * answered, or have not.
   */
  obtain(wanted: readonly IdentityHex[], known: readonly LinkTarget[]): Promise<void> {
    this.#asking = this.#asking.then(() => this.#obtain(wanted, known));
    return this.#asking;
  }

  async #obtain(wanted: readonly IdentityHex[], known: readonly LinkTarget[]): Promise<void> {
    for (const id of this.#held.keys()) if (!wanted.includes(id)) this.#held.delete(id);
    for (const id of this.#pausedUntilMs.keys()) if (!wanted.includes(id)) this.#pausedUntilMs.delete(id);
    const isMissing = ({ id }: LinkTarget) => {
      const held = this.#held.get(id);
      return held === undefined || Math.abs(this.#ageMs(held)) > RENEW_COUNTERSIGNATURE_AFTER_MS;
    };
    const asked = known.filter(
      (gateway) => wanted.includes(gateway.id) && isMissing(gateway) && !this.#isPaused(gateway),
    );
    await Promise.all(asked.map((gateway) => this.#ask(gateway)));
  }

  async #ask(gateway: LinkTarget): Promise<void> {
    const { clock, crypto, outboundAddress } = this.components;
    const id = networkId(this.network, crypto);
    const answer = await askCountersignature({
      identity: this.identity,
      gateway,
      networkId: id,
      packetBytes: packetBytes(this.network.payloadBytes),
      client: this.#client,
      keyExchange: this.#keyExchange,
      localAddress: outboundAddress,
      clock,
      refusals: this.#refusals,
      onRefused: (reason) => {
        if (reason === NO_COMMON_GROUP)
          this.#pausedUntilMs.set(gateway.id, laterMs(clock.nowMs(), NO_COMMON_GROUP_PAUSE_MS));
      },
    });
    const { publicKey } = this.identity;
    const given = answer && readCountersignature(answer, gateway.id, id, publicKey, crypto);
    if (given !== undefined) this.#held.set(gateway.id, given);
  }

  #isPaused({ id }: LinkTarget): boolean {
    return this.components.clock.nowMs() < (this.#pausedUntilMs.get(id) ?? Number.NEGATIVE_INFINITY);
  }

  #ageMs({ madeMs }: Countersignature): number {
    return this.components.clock.wallMs() - madeMs;
  }
}
