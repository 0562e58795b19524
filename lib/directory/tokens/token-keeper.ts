/**
 * The files behind the tokens of a role that runs: what the operator's commands write takes effect while it runs, and uses are on the
 * disk before anybody is let in by them.
 * @module
 */
import type { Clock } from '../../core/clock.ts';
import { asMixError } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { Log } from '../../telemetry/log.ts';
import {
  isRevoked,
  type Token,
  type TokenId,
  type TokenKeyHex,
  type TokenTerms,
  type TokenUse,
  tokenIdOf,
} from './token.ts';
import type { TokenBook } from './token-book.ts';
import type { TokenFiles } from './token-files.ts';

/** The files are read again after so long, when something is done next. */
export const REREAD_MS = 1000;
/** The same, when somebody comes with a token that is not known and has a file. */
export const REREAD_FOR_UNKNOWN_MS = 200;

export interface TokenKeeperOptions<Terms extends TokenTerms, Use extends TokenUse> {
  readonly book: TokenBook<Terms, Use>;
  readonly files: TokenFiles<Terms, Use>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Log;
  /** Puts what was read into the book. */
  readonly apply: (tokens: readonly Token<Terms, Use>[]) => Promise<void> | void;
  /** Tokens were revoked, or deleted, since they were last read; called before `apply`. */
  readonly onRevoked: (token: Token<Terms, Use>) => void;
  /** Uses are on the disk. */
  readonly onSaved: (token: Token<Terms, Use>) => void;
}

export class TokenKeeper<Terms extends TokenTerms, Use extends TokenUse> {
  #readMs: MonotonicMs | undefined;
  #saving: Promise<void> = Promise.resolve();
  #reading: Promise<void> = Promise.resolve();
  /** The last problem of each file, which is said once. */
  #complaints = new Map<string, string>();

  constructor(private readonly options: TokenKeeperOptions<Terms, Use>) {}

  /** Reads what is there. Rejects with CONFIG when a file is damaged: nobody must forget who used what. */
  async open(): Promise<void> {
    const { files, apply, clock } = this.options;
    await files.open();
    const tokens: Token<Terms, Use>[] = [];
    for (const id of await files.tokenIds()) {
      const token = await this.#read(id);
      if (token !== undefined) tokens.push(token);
    }
    await apply(tokens);
    this.#readMs = clock.nowMs();
  }

  /**
   * Reads again what the operator may have changed, unless it did so within `ageMs`. What cannot be read stays as it was. Readings follow
   * one another, so that an earlier one never undoes a later.
   */
  reread(ageMs = REREAD_MS): Promise<void> {
    this.#reading = this.#reading.then(() => this.#reread(ageMs));
    return this.#reading;
  }

  async #reread(ageMs: number): Promise<void> {
    const { files, book, clock } = this.options;
    const nowMs = clock.nowMs();
    if (this.#readMs !== undefined && nowMs - this.#readMs < ageMs) return;
    this.#readMs = nowMs;
    const before = new Map(book.tokens.map((token) => [tokenIdOf(token.terms.key), token]));
    const problems = new Map<string, string>();
    try {
      const tokens: Token<Terms, Use>[] = [];
      for (const id of await files.tokenIds()) {
        const known = before.get(id);
        const token = await this.#read(id, known).catch((error) => {
          problems.set(id, asMixError(error).message);
          return known;
        });
        if (token !== undefined) tokens.push(token);
      }
      await this.#apply(tokens, before);
    } catch (error) {
      problems.set('', asMixError(error).message);
    }
    this.#complain(problems);
  }

  /**
   * Somebody came with a token that is not known: an operator makes a token and it is used at once. To look for the file of one
   * token costs as much as a guess is worth.
   */
  async find(key: TokenKeyHex): Promise<void> {
    if (await this.options.files.has(tokenIdOf(key))) await this.reread(REREAD_FOR_UNKNOWN_MS);
  }

  /** Resolves when all uses are on the disk. Writes follow one another, so that an earlier one never undoes a later. */
  save(): Promise<void> {
    const saved = this.#saving.then(() => this.#save());
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async #save(): Promise<void> {
    const { files, book, onSaved } = this.options;
    for (const token of book.unsaved()) {
      const count = token.uses.size;
      await files.saveUses(tokenIdOf(token.terms.key), [...token.uses.values()]);
      book.saved(token, count);
      onSaved(token);
    }
  }

  /** A token's terms as they are now, with the uses that are known, or those on the disk when it was not. */
  async #read(id: TokenId, known?: Token<Terms, Use>): Promise<Token<Terms, Use> | undefined> {
    const { files, log } = this.options;
    const terms = await files.terms(id);
    if (terms === undefined) return undefined; // deleted since
    if (known !== undefined) return { terms, uses: known.uses };
    try {
      return { terms, uses: await files.uses(id) };
    } catch (error) {
      if (!isRevoked(terms)) throw error;
      const problem = asMixError(error).message;
      log.warn({ problem }, `the uses of a revoked ${files.kind.name} are not known any more`);
      return { terms, uses: new Map() };
    }
  }

  async #apply(tokens: readonly Token<Terms, Use>[], before: ReadonlyMap<TokenId, Token<Terms, Use>>): Promise<void> {
    const { apply, onRevoked } = this.options;
    const now = new Map(tokens.map((token) => [tokenIdOf(token.terms.key), token]));
    for (const [id, token] of before) {
      const later = now.get(id)?.terms;
      if (isRevoked(token.terms) || (later !== undefined && !isRevoked(later))) continue;
      onRevoked(token);
    }
    await apply(tokens);
  }

  #complain(problems: Map<string, string>): void {
    const { log, files } = this.options;
    for (const [about, problem] of problems) {
      if (this.#complaints.get(about) === problem) continue;
      log.error({ problem }, `${files.kind.name}s cannot be read; going on with those that are known`);
    }
    this.#complaints = problems;
  }
}
