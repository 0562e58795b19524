/**
 * The guards of a proxy on disk, so that a restart does not draw others: whoever draws often meets every gateway.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../config/fields.ts';
import { asMixError, MixError, systemCode } from '../core/errors.ts';
import { loadTextFile } from '../core/text-file.ts';
import type { UnixMs } from '../core/units.ts';
import { writeFileAtomic } from '../directory/files.ts';
import { type GuardState, MAX_DRAWS, SAMPLE_SIZE } from '../endpoint/index.ts';
import type { Log } from '../telemetry/log.ts';

const FILE_VERSION = 1;
const spanMs = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const timeMs = spanMs.transform((value) => value as UnixMs);
const guard = z.strictObject({
  id: identityHex,
  addedMs: timeMs,
  termMs: spanMs,
  unlistedSinceMs: timeMs.nullable(),
  due: z.strictObject({ what: z.enum(['leave', 'restart']), forMs: spanMs }).nullable(),
});
const contents = z.strictObject({
  version: z.literal(FILE_VERSION),
  network: z.string(),
  seenMs: timeMs,
  guards: z.array(guard).max(SAMPLE_SIZE).refine(hasDistinctIds),
  draws: z.array(z.strictObject({ id: identityHex, atMs: timeMs })).max(MAX_DRAWS),
});

export class GuardFile {
  #written = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(
    readonly path: string,
    readonly networkIdHex: string,
    readonly log: Log,
  ) {}

  /** The guards kept; undefined, with a warning, when the file is damaged or of another network. */
  async load(): Promise<GuardState | undefined> {
    try {
      const text = await loadTextFile(this.path);
      const { version: _version, network, ...state } = contents.parse(JSON.parse(text));
      if (network === this.networkIdHex) return state;
      this.log.warn({ file: this.path }, 'the guards kept are of another network: new ones are drawn');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      const reason = error instanceof MixError ? error.message : (systemCode(error) ?? 'it is damaged');
      this.log.warn({ file: this.path, reason }, 'the guards kept can not be read: new ones are drawn');
    }
    return undefined;
  }

  /** Replaces the file; resolves when that is done, or has failed with a warning. Writes follow one another. */
  save(state: GuardState): Promise<void> {
    const text = `${JSON.stringify({ version: FILE_VERSION, network: this.networkIdHex, ...state })}\n`;
    if (text === this.#written) return this.#writing;
    this.#written = text;
    this.#writing = this.#writing.then(() => this.#write(text));
    return this.#writing;
  }

  /** Resolves when what was last saved is on disk, or could not be. */
  settle(): Promise<void> {
    return this.#writing;
  }

  async #write(text: string): Promise<void> {
    try {
      await writeFileAtomic(this.path, text);
    } catch (error) {
      this.#written = '';
      const reason = systemCode(error) ?? asMixError(error).message;
      this.log.warn({ file: this.path, reason }, 'the guards can not be kept: the next start draws new ones');
    }
  }
}

function hasDistinctIds(guards: readonly { readonly id: string }[]): boolean {
  return new Set(guards.map(({ id }) => id)).size === guards.length;
}
