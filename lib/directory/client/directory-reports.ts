/**
 * What a member says of its sources: problems with them, each once and not with every attempt, and evidence against authorities.
 * @module
 */
import { asMixError } from '../../core/errors.ts';
import type { Components } from '../../runtime/components.ts';
import type { CacheFile } from './cache-file.ts';
import type { Evidence } from './consensus-store.ts';
import type { DirectorySources } from './directory-sources.ts';
import type { Exchange } from './fetcher.ts';
import type { LaggingSource } from './source-watch.ts';

/** Different problems logged between two consensuses; an authority chooses part of the text. */
const MAX_COMPLAINTS = 64;

export class DirectoryReports {
  /** Problems reported since a consensus was last had. */
  readonly #complaints = new Set<string>();
  #evidenceReported = 0;
  #clockReported = false;
  #lagging: readonly string[] = [];

  constructor(
    readonly log: Components['log'],
    readonly sources: Pick<DirectorySources, 'urlsOf'>,
    readonly cache: CacheFile | undefined,
  ) {}

  /** What an authority answered. */
  exchange({ outcome, problem }: Exchange): void {
    if (outcome === 'new') this.#complaints.clear();
    if (problem === '' || this.#complaints.has(problem) || this.#complaints.size >= MAX_COMPLAINTS) return;
    this.#complaints.add(problem);
    if (outcome === 'absent') this.log.debug({ problem }, 'no consensus yet');
    else this.log.warn({ problem }, 'no consensus from an authority; trying on');
  }

  /** Says once that the clock is wrong, and again when it has been right in between. */
  clock(fault: string | undefined): void {
    if (fault !== undefined && !this.#clockReported) this.log.error({}, fault);
    this.#clockReported = fault !== undefined;
  }

  /** Sources that are behind now: says once when one begins to be, and when it is no more. */
  lagging(sources: readonly LaggingSource[]): void {
    const before = this.#lagging;
    this.#lagging = sources.map(({ kind, name }) => `${kind} ${name}`);
    for (const { kind, name, epoch, epochsBehind, problem } of sources) {
      if (before.includes(`${kind} ${name}`)) continue;
      const fields = { [kind]: name, epoch, epochsBehind, problem };
      this.log.warn(
        fields,
        `the ${kind} is behind: it does not give the newest consensus, which is in use all the same`,
      );
    }
    for (const source of before) if (!this.#lagging.includes(source)) this.log.info({ source }, 'no longer behind');
  }

  /** Keeps what is new of the evidence, and names who signed two. */
  evidence(all: readonly Evidence[]): void {
    for (const evidence of all.slice(this.#evidenceReported)) {
      const { epoch, signers } = evidence;
      const file = this.cache?.evidencePath(epoch);
      const authorities = this.sources.urlsOf(signers);
      this.log.error({ epoch, authorities, file }, 'authorities signed two consensuses for one epoch');
      this.cache?.keepEvidence(evidence).catch((error) => {
        this.log.warn({ problem: asMixError(error).message }, 'the evidence can not be kept');
      });
    }
    this.#evidenceReported = all.length;
  }
}
