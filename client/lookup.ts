/**
 * Look-ups as promises.
 * @module
 */

import { Lookup, type LookupContext, type Question } from '../lib/access/lookup.ts';
import { afterSilence } from '../lib/core/clock.ts';
import { factsOf, MixError } from '../lib/core/errors.ts';
import type { StreamObserver } from '../lib/relay/stream-observer.ts';

export interface LookUpTerms extends LookupContext {
  readonly timeoutMs: number;
  readonly observer?: StreamObserver;
  /** The first to be aborted gives the look-up up; its reason is what the promise rejects with. */
  readonly signals: readonly AbortSignal[];
}

/** Asks, and resolves with at least one address or name. Rejects with a MixError, or with the reason of an abort. */
export function lookUp(question: Question, terms: LookUpTerms): Promise<readonly string[]> {
  const { clock, timeoutMs, signals, observer } = terms;
  return new Promise((resolve, reject) => {
    const done = (): void => {
      timer.cancel();
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: MixError, timedOut = false): void => {
      done();
      observer?.failed(error.code, lookup.stream, timedOut);
      reject(error);
    };
    const lookup = new Lookup(question, terms, {
      found: (answers) => {
        done();
        observer?.opened(lookup.stream);
        observer?.ended('finished');
        resolve(answers);
      },
      failed: (code) => fail(failure(question, code)),
    });
    const timer = afterSilence(clock, timeoutMs, () => {
      lookup.stop('TIMEOUT');
      fail(failure(question, 'TIMEOUT'), true);
    });
    const onAbort = (): void => {
      lookup.stop('RESET');
      done();
      observer?.abandoned(lookup.stream);
      reject(signals.find((signal) => signal.aborted)?.reason);
    };
    for (const signal of signals) signal.addEventListener('abort', onAbort);
    if (signals.some((signal) => signal.aborted)) onAbort();
    else lookup.start();
  });
}

function failure({ host, reverse }: Question, code: MixError['code']): MixError {
  return new MixError(code, `no ${reverse ? 'name' : 'address'} of ${host}: ${factsOf(code).meaning}`);
}
