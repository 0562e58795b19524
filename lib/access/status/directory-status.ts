/**
 * Where the list of nodes comes from, in words for people.
 * @module
 */
import type { LaggingSource, SourcesStatus } from '../../directory/index.ts';

export interface LaggingStatus extends LaggingSource {
  /** `epochsBehind` as a time; null when it gave no list of nodes. */
  readonly secondsBehind: number | null;
  /** All of it in one sentence. */
  readonly words: string;
}

export interface DirectoryStatus extends SourcesStatus {
  readonly lagging: readonly LaggingStatus[];
}

/** `epochMs`: the length of an epoch. */
export function directoryStatus({ origin, lagging, signedTwice }: SourcesStatus, epochMs: number): DirectoryStatus {
  return { origin, lagging: lagging.map((source) => laggingStatus(source, epochMs / 1000)), signedTwice };
}

function laggingStatus(source: LaggingSource, epochSeconds: number): LaggingStatus {
  const { kind, name, epochsBehind, problem } = source;
  const secondsBehind = epochsBehind === null ? null : epochsBehind * epochSeconds;
  const behind =
    epochsBehind === null || secondsBehind === null
      ? 'has given no list of nodes'
      : `is ${epochsBehind} epoch${epochsBehind === 1 ? '' : 's'} (${timeText(secondsBehind)}) behind with its list of nodes`;
  return {
    ...source,
    secondsBehind,
    words: `The ${kind} ${name} ${behind}: ${problem}. The newest is in use all the same.`,
  };
}

function timeText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Number((seconds / 3600).toFixed(1))} h`;
}
