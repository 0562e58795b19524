/**
 * The last good consensus on disk, so that a member starts without the authorities. What is loaded is verified like
 * what comes from the network; the file is not trusted.
 * @module
 */

import { dirname, join } from 'node:path';
import { z } from 'zod';
import { MixError } from '../../core/errors.ts';
import { jsonOf } from '../../core/parsed-text.ts';
import { loadTextIfThere } from '../../core/text-file.ts';
import type { EpochNumber } from '../../core/units.ts';
import { MAX_CONSENSUS_BYTES } from '../documents.ts';
import { envelopeBytes } from '../envelope.ts';
import { createFileDurably, writeFileAtomic } from '../files.ts';
import type { Evidence } from './consensus-store.ts';

/** Longest file that is read: what a store keeps is a handful. */
const MAX_CACHE_BYTES = 8 * envelopeBytes(MAX_CONSENSUS_BYTES);

const contents = z.strictObject({ network: z.string(), consensuses: z.array(z.string()).max(16) });

export class CacheFile {
  #written = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(
    readonly path: string,
    readonly networkIdHex: string,
  ) {}

  /** The envelopes kept; none when there is no file or it is of another network. Throws DOCUMENT on a damaged file. */
  async load(): Promise<string[]> {
    const text = await loadTextIfThere(this.path, { code: 'DOCUMENT', maxBytes: MAX_CACHE_BYTES });
    if (text === undefined) return [];
    const parsed = contents.safeParse(jsonOf(text));
    if (!parsed.success) throw new MixError('DOCUMENT', `${this.path}: is not a consensus cache`);
    return parsed.data.network === this.networkIdHex ? parsed.data.consensuses : [];
  }

  /** Replaces the file; writes follow one another, and what is there already is not written again. */
  save(consensuses: readonly string[]): Promise<void> {
    const text = JSON.stringify({ network: this.networkIdHex, consensuses });
    if (text === this.#written) return this.#writing;
    this.#written = text;
    this.#writing = this.#writing.catch(() => {}).then(() => writeFileAtomic(this.path, text));
    return this.#writing;
  }

  /** Where two consensuses of one epoch are kept, beside the cache. */
  evidencePath(epoch: EpochNumber): string {
    return join(dirname(this.path), `evidence-${epoch}.json`);
  }

  /** Keeps the first pair of an epoch, in the order of other writes. */
  keepEvidence(evidence: Evidence): Promise<void> {
    const text = `${JSON.stringify({ network: this.networkIdHex, ...evidence })}\n`;
    const written = this.#writing
      .catch(() => {})
      .then(() => createFileDurably(this.evidencePath(evidence.epoch), text, 0o644));
    this.#writing = written.then(() => {});
    return this.#writing;
  }

  /** Resolves when what was last saved is on disk, or could not be. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => {});
  }
}
