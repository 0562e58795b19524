/**
 * The tokens of a role that runs: which there are, and who came by them. Pure. A token is used by a public key, for good: who came by
 * it uses nothing when it comes again, and nothing gives a use back.
 * @module
 */
import { latestMs, type UnixMs } from '../../core/units.ts';
import type { Token, TokenKeyHex, TokenTerms, TokenUse } from './token.ts';

interface Held<Terms extends TokenTerms, Use extends TokenUse> extends Token<Terms, Use> {
  terms: Terms;
  readonly uses: Map<Use['identity'], Use>;
  /** Whether a use is not on the disk yet. */
  isUnsaved: boolean;
}

export class TokenBook<Terms extends TokenTerms, Use extends TokenUse> {
  #tokens = new Map<TokenKeyHex, Held<Terms, Use>>();
  #passedMs = 0 as UnixMs;

  get tokens(): readonly Token<Terms, Use>[] {
    return [...this.#tokens.values()];
  }

  find(key: TokenKeyHex): Token<Terms, Use> | undefined {
    return this.#tokens.get(key);
  }

  /** Time has been so far, whatever the clock says later: a token that had expired stays so. */
  noteTime(ms: UnixMs): void {
    this.#passedMs = latestMs(this.#passedMs, ms);
  }

  /** By which expiry is judged. */
  latest(nowMs: UnixMs): UnixMs {
    return latestMs(nowMs, this.#passedMs);
  }

  /** Takes over what stands on the disk. Uses of a token that is known are the role's own: they are only ever written by it. */
  update(tokens: readonly Token<Terms, Use>[]): void {
    const held = tokens.map(({ terms, uses }): [TokenKeyHex, Held<Terms, Use>] => {
      const known = this.#tokens.get(terms.key) ?? { terms, uses: new Map(uses), isUnsaved: false };
      known.terms = terms;
      return [terms.key, known];
    });
    this.#tokens = new Map(held);
  }

  /** Uses up a use of the token of `key`, if there is such a token. */
  use(key: TokenKeyHex, use: Use): void {
    const token = this.#tokens.get(key);
    if (token === undefined) return;
    token.uses.set(use.identity, use);
    token.isUnsaved = true;
  }

  /** Whether all uses of the token of `key` are on the disk. */
  isSaved(key: TokenKeyHex): boolean {
    return this.#tokens.get(key)?.isUnsaved !== true;
  }

  /** Tokens with uses that are not on the disk yet. */
  unsaved(): readonly Token<Terms, Use>[] {
    return [...this.#tokens.values()].filter(({ isUnsaved }) => isUnsaved);
  }

  /** `count` uses of the token are on the disk. */
  saved({ terms, uses }: Token<Terms, Use>, count: number): void {
    const token = this.#tokens.get(terms.key);
    if (token !== undefined && uses.size === count) token.isUnsaved = false;
  }
}
