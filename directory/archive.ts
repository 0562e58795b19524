/**
 * What an authority keeps on disk: the descriptors it took, and every consensus it signed, written before it is served.
 * The file of a consensus is the record that its epoch is used up.
 *
 *     DIR/descriptors/<identity>.json
 *     DIR/consensus/<epoch>.json
 *     DIR/unreachable.json
 * @module
 */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type IdentityHex, isIdentityHex } from '../lib/core/bytes.ts';
import { makeFolder } from '../lib/core/folders.ts';
import { loadTextFile } from '../lib/core/text-file.ts';
import { type EpochNumber, epochNumber } from '../lib/core/units.ts';
import { MAX_CONSENSUS_BYTES } from '../lib/directory/documents.ts';
import { envelopeBytes } from '../lib/directory/envelope.ts';
import { createFileDurably, namesIn, writeFileAtomic } from '../lib/directory/index.ts';

/** Consensus files kept; older ones are deleted. */
export const CONSENSUSES_KEPT = 48;

export class Archive {
  readonly #descriptors: string;
  readonly #consensuses: string;
  readonly #unreachable: string;
  #unreachableText = '{}';

  constructor(readonly dir: string) {
    this.#descriptors = join(dir, 'descriptors');
    this.#consensuses = join(dir, 'consensus');
    this.#unreachable = join(dir, 'unreachable.json');
  }

  /** Makes the folders and clears away what a crash left half written. */
  async open(): Promise<void> {
    for (const folder of [this.#descriptors, this.#consensuses]) {
      makeFolder(folder);
      for (const name of await readdir(folder)) {
        if (name.endsWith('.draft')) await rm(join(folder, name), { force: true });
      }
    }
    await rm(this.#unreachable, { force: true }); // of an earlier run
  }

  async saveDescriptor(identity: IdentityHex, text: string): Promise<void> {
    await writeFileAtomic(this.#descriptorFile(identity), text);
  }

  async deleteDescriptor(identity: IdentityHex): Promise<void> {
    await rm(this.#descriptorFile(identity), { force: true });
  }

  /** The texts of all descriptors, by identity; none in the folder of an authority that has not run. */
  async descriptors(): Promise<Map<IdentityHex, string>> {
    const names = await namesIn(this.#descriptors);
    const identities = names.map((name) => name.replace(/\.json$/, '')).filter(isIdentityHex);
    return new Map(
      await Promise.all(
        identities.map(async (identity): Promise<[IdentityHex, string]> => {
          const file = this.#descriptorFile(identity);
          return [identity, await loadTextFile(file, { code: 'DOCUMENT' })];
        }),
      ),
    );
  }

  /** Keeps which nodes are not listed since they could not be reached, and why: for an audit. */
  async saveUnreachable(problems: ReadonlyMap<IdentityHex, string>): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(problems));
    if (text === this.#unreachableText) return;
    await writeFileAtomic(this.#unreachable, text);
    this.#unreachableText = text;
  }

  /** What `saveUnreachable` kept last. */
  async unreachable(): Promise<ReadonlyMap<string, string>> {
    try {
      return new Map(Object.entries(JSON.parse(await loadTextFile(this.#unreachable)) as Record<string, string>));
    } catch {
      return new Map();
    }
  }

  /** Records a signed consensus for good; false when there is one of that epoch already, which then is the one. */
  async recordConsensus(epoch: EpochNumber, text: string): Promise<boolean> {
    const created = await createFileDurably(this.#consensusFile(epoch), text, 0o644);
    if (created) await this.#prune();
    return created;
  }

  async consensus(epoch: EpochNumber): Promise<string> {
    const maxBytes = envelopeBytes(MAX_CONSENSUS_BYTES);
    return loadTextFile(this.#consensusFile(epoch), { code: 'DOCUMENT', maxBytes });
  }

  /** Epochs of the recorded consensuses, oldest first; likewise. */
  async epochs(): Promise<EpochNumber[]> {
    return (await numbersIn(this.#consensuses, '.json')).map(epochNumber);
  }

  async #prune(): Promise<void> {
    for (const epoch of (await this.epochs()).slice(0, -CONSENSUSES_KEPT)) {
      await rm(this.#consensusFile(epoch), { force: true });
    }
  }

  #descriptorFile(identity: IdentityHex): string {
    return join(this.#descriptors, `${identity}.json`);
  }

  #consensusFile(epoch: EpochNumber): string {
    return join(this.#consensuses, `${epoch}.json`);
  }
}

/** The numbers that names in a folder are, but for their `ending`, in ascending order; none where there is no folder. */
export async function numbersIn(folder: string, ending = ''): Promise<number[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(ending));
  const stems = names.map((name) => name.slice(0, name.length - ending.length));
  return stems
    .filter((stem) => /^\d{1,15}$/.test(stem))
    .map(Number)
    .sort((a, b) => a - b);
}
