/**
 * Replay protection of one Sphinx key: the filter and the journal that outlives the process.
 * @module
 */
import type { ReplayFilter } from './replay-filter.ts';
import type { TagJournal } from './tag-journal.ts';

/** `replay-full`: the filter is at capacity, which only a clock that was set back or stood still can bring about. `journal`: the disk does not take tags. Both refuse packets rather than risk a replay. */
export type ReplayOutcome = 'fresh' | 'replay' | 'replay-full' | 'journal';

export class ReplayGuard {
  constructor(
    readonly filter: ReplayFilter,
    readonly journal: TagJournal,
  ) {}

  /** Check and insert. After `fresh` the packet may be worked on, and must not leave before `flush` said true. */
  admit(tag: Uint8Array): ReplayOutcome {
    if (!this.journal.hasRoom && !this.journal.flush()) return 'journal';
    const verdict = this.filter.checkAndInsert(tag);
    if (verdict === 'fresh') this.journal.append(this.filter.lastRecord);
    return verdict === 'full' ? 'replay-full' : verdict;
  }

  flush(): boolean {
    return this.journal.flush();
  }
}
