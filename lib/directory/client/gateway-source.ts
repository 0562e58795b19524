/**
 * What a gateway hands on over one link of a client. It decides nothing: a consensus counts by the signatures of the authorities,
 * whoever brings it. A gateway that sends garbage, old documents or a flood costs a bounded share of memory and time.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import { ConsensusAssembler, type ConsensusText, type PieceFault } from '../consensus-pieces.ts';
import type { ConsensusSource, GatewayName } from './source-watch.ts';

/** What became of a piece, or of the document that it completed; a document is `known` to the byte, or has been verified. */
export type HandedOutcome = PieceFault | 'new' | 'known' | 'refused' | 'excess';

export interface GatewaySourceOptions {
  readonly epochMs: number;
  readonly nowMs: () => MonotonicMs;
  /** The consensus may be of this epoch. */
  readonly wanted: (epoch: number) => boolean;
  /** Whether exactly this is held. */
  readonly isHeld: (document: ConsensusText) => boolean;
  /** Verifies and takes in. */
  readonly take: (document: ConsensusText, from: ConsensusSource) => 'new' | 'known' | 'refused';
  /** A link to this gateway is up. */
  readonly onUp: (gateway: GatewayName, before: ConsensusSource | undefined) => ConsensusSource;
  readonly onDown: (gateway: ConsensusSource) => void;
  readonly onOutcome: (outcome: HandedOutcome) => void;
}

/** Documents of one gateway that are verified in an epoch, so that none uses up what another needs: one as large as can be takes a tenth of a second, and stops everything else for so long. */
export const MAX_VERIFIED_PER_EPOCH = 8;

export class GatewaySource {
  readonly #assembler = new ConsensusAssembler();
  #gateway: ConsensusSource | undefined;
  #before: ConsensusSource | undefined;
  #verified: { readonly id: string; readonly atMs: MonotonicMs }[] = [];

  constructor(readonly options: GatewaySourceOptions) {}

  /** Bytes of an unfinished document. */
  get heldBytes(): number {
    return this.#assembler.heldBytes;
  }

  /** The link is up, to this gateway. */
  up(gateway: GatewayName): void {
    this.down();
    this.#gateway = this.options.onUp(gateway, this.#before);
  }

  /** The link is down. What it had begun to hand on comes again from the beginning. */
  down(): void {
    this.#assembler.reset();
    if (this.#gateway === undefined) return;
    this.options.onDown(this.#gateway);
    this.#before = this.#gateway;
    this.#gateway = undefined;
  }

  /** Takes a piece, which it owns from now on; without a link that is up, for nobody. */
  take(piece: Uint8Array): void {
    const { wanted, onOutcome } = this.options;
    if (this.#gateway === undefined) return;
    const result = this.#assembler.take(piece, wanted);
    if (typeof result === 'string') {
      this.#gateway.failed(PROBLEMS[result]);
      onOutcome(result);
    } else if (result !== undefined) onOutcome(this.#judge(result, this.#gateway));
  }

  /** A document that is held already costs a comparison, so that a link that often comes up anew uses nothing up. */
  #judge(document: ConsensusText, gateway: ConsensusSource): HandedOutcome {
    const { isHeld, take, nowMs, epochMs } = this.options;
    if (isHeld(document)) {
      gateway.gave(document.epoch);
      return 'known';
    }
    const atMs = nowMs();
    this.#verified = this.#verified.filter((one) => atMs - one.atMs < epochMs);
    if (this.#verified.filter(({ id }) => id === gateway.id).length >= MAX_VERIFIED_PER_EPOCH) return 'excess';
    this.#verified.push({ id: gateway.id, atMs });
    return take(document, gateway);
  }
}

const PROBLEMS: Readonly<Record<PieceFault, string>> = {
  malformed: 'what it hands on is no consensus',
  'other-epoch': 'it hands on a consensus of another epoch',
  gap: 'what it hands on is not whole',
};
