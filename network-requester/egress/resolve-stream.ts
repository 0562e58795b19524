/**
 * A stream of kind `resolve` at the exit: a name is answered with its addresses, an address with its names. What a
 * client may not connect to it is not in the answer either.
 * @module
 */

import { asMixError, type ErrorCode, MixError } from '../../lib/core/errors.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import { checkDestination, isPrivateName, parseDestination } from '../../lib/net/destination.ts';
import { encodeAnswer, type ResolveAnswer } from '../../lib/net/resolve-answer.ts';
import type { AcceptedHandlers, AcceptedStream } from '../../lib/session/index.ts';
import type { EgressContext } from './context.ts';

/** Nothing is connected, so nothing is bound. */
const UNBOUND = { host: '0.0.0.0', port: 0 };

export class ResolveStream implements AcceptedHandlers {
  #over = false;
  /** When it began: nothing moves before the answer. */
  readonly movedMs: MonotonicMs;

  /** `session` names whose look-ups it takes; `onGone` is called once, when the answer is given or nobody wants it any more. */
  constructor(
    private readonly stream: AcceptedStream,
    private readonly context: EgressContext,
    private readonly session: string,
    private readonly onGone: () => void,
  ) {
    this.movedMs = context.clock.nowMs();
  }

  start(host: string): void {
    const startedMs = this.context.clock.nowMs();
    this.#find(host).then(
      (answer) => this.#answer(answer, startedMs),
      (error: unknown) => this.#refuse(asMixError(error).code),
    );
  }

  stop(): void {
    this.#refuse('SESSION_CLOSED');
  }

  giveUp(): void {
    this.#refuse('LIMIT');
  }

  /** The question was in OPEN; bytes that follow mean nothing. */
  onData(bytes: Uint8Array): void {
    this.stream.consume(bytes.byteLength, this.context.clock.nowMs());
  }

  onFin(): void {}

  onDrain(): void {}

  onReset(): void {
    this.#end();
  }

  async #find(host: string): Promise<ResolveAnswer> {
    const { allowPrivate, policy, resolver } = this.context;
    const verdict = checkDestination(host, allowPrivate);
    if (!verdict.ok) throw new MixError(verdict.code, 'the question is not allowed');
    const { destination } = verdict;
    if (destination.kind === 'name') {
      const addresses = policy.speakable(await resolver.resolve(destination.host, this.session));
      if (addresses.length === 0) throw new MixError('POLICY', 'no address of the name is allowed');
      return { addresses: addresses.map(({ text }) => text), names: [] };
    }
    if (policy.speakable([destination.host]).length === 0) throw new MixError('POLICY', 'a machine of this network');
    const found = (await resolver.reverse(destination.host, this.session)).flatMap((name) => {
      const parsed = parseDestination(name);
      return parsed?.kind === 'name' && (allowPrivate || !isPrivateName(parsed.host)) ? [parsed.host] : [];
    });
    if (found.length === 0) throw new MixError('NOT_FOUND', 'no name of the address is allowed');
    return { addresses: [], names: found };
  }

  #answer(answer: ResolveAnswer, startedMs: MonotonicMs): void {
    if (this.#over) return;
    const { clock, onOpened, onEnded } = this.context;
    const nowMs = clock.nowMs();
    onOpened(nowMs - startedMs);
    this.stream.opened(UNBOUND, nowMs);
    this.stream.write(encodeAnswer(answer), nowMs);
    this.stream.end(nowMs);
    onEnded('finished');
    this.#end();
  }

  #refuse(code: ErrorCode): void {
    if (this.#over) return;
    this.context.onRefused(code);
    this.stream.refuse(code, this.context.clock.nowMs());
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.onGone();
  }
}
