/**
 * Tokens in the folder of who issued them. Each file has one writer, and is replaced as a whole, so that commands and the role that
 * runs never undo each other's work:
 *
 *     DIR/FOLDER/<id>.json         a token's terms: written by the operator's commands
 *     DIR/FOLDER/<id>.uses.json    who came by it: written by the role, before it lets anybody in
 * @module
 */
import { access, chown, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { IdentityHex } from '../../core/bytes.ts';
import { MixError, systemCode } from '../../core/errors.ts';
import { makeFolder } from '../../core/folders.ts';
import { loadTextIfThere } from '../../core/text-file.ts';
import { createFileDurably, foreignOwner, writeFileAtomic } from '../files.ts';
import {
  isTokenId,
  parseTerms,
  parseUses,
  type Token,
  type TokenId,
  type TokenKind,
  type TokenTerms,
  type TokenUse,
  termsText,
  tokenIdOf,
  usesText,
} from './token.ts';

export class TokenFiles<Terms extends TokenTerms, Use extends TokenUse> {
  readonly #folder: string;

  constructor(
    readonly dir: string,
    readonly kind: TokenKind<Terms, Use>,
  ) {
    this.#folder = join(dir, kind.folder);
  }

  /** Makes the folder, and clears away uses that a crash left half written: whom they were for was not let in. */
  async open(): Promise<void> {
    await this.make(this.#folder);
    for (const name of await readdir(this.#folder)) {
      if (/\.uses\.json\..*\.draft$/.test(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  /** Writes a new token. Throws LIMIT when there are too many. */
  async create(terms: Terms): Promise<void> {
    const { name, issuer, maxTokens } = this.kind;
    await this.make(this.#folder);
    if ((await this.tokenIds()).length >= maxTokens) {
      const remedy = `delete the files of those that were revoked from ${this.#folder}`;
      throw new MixError('LIMIT', `${issuer} has at most ${maxTokens} ${name}s: ${remedy}`);
    }
    const created = await createFileDurably(this.#termsFile(tokenIdOf(terms.key)), termsText(terms));
    if (!created) throw new MixError('CONFIG', `the ${name} ${tokenIdOf(terms.key)} exists already`);
  }

  /** Writes the terms of a token anew. */
  async change(terms: Terms): Promise<void> {
    await writeFileAtomic(this.#termsFile(tokenIdOf(terms.key)), termsText(terms));
  }

  /** All tokens, in order; of a folder that has never had one, none. */
  async tokenIds(): Promise<TokenId[]> {
    const names = await namesIn(this.#folder);
    return names.flatMap((name) => (name.endsWith('.json') && isTokenId(name.slice(0, -5)) ? [name.slice(0, -5)] : []));
  }

  /** When a file was last made, replaced or deleted; 0 without a folder. In milliseconds, by the clock of the file system. */
  async changedMs(): Promise<number> {
    return stat(this.#folder).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  }

  /** All tokens with their uses. Rejects with CONFIG when a file is damaged. */
  async all(): Promise<Token<Terms, Use>[]> {
    const tokens: Token<Terms, Use>[] = [];
    for (const id of await this.tokenIds()) {
      const terms = await this.terms(id);
      if (terms !== undefined) tokens.push({ terms, uses: await this.uses(id) });
    }
    return tokens;
  }

  /** Rejects with CONFIG when the file is damaged; undefined when there is none. */
  async terms(id: TokenId): Promise<Terms | undefined> {
    const path = this.#termsFile(id);
    const text = await loadTextIfThere(path);
    return text === undefined ? undefined : parseTerms(this.kind as TokenKind<Terms, never>, text, id, path);
  }

  /** Whether a token has a file, readable or not. */
  async has(id: TokenId): Promise<boolean> {
    return access(this.#termsFile(id)).then(
      () => true,
      () => false,
    );
  }

  /** Who came by a token. Rejects with CONFIG when the file is damaged. */
  async uses(id: TokenId): Promise<Map<IdentityHex, Use>> {
    const path = this.#usesFile(id);
    const text = await loadTextIfThere(path);
    return text === undefined ? new Map() : parseUses(this.kind as TokenKind<never, Use>, text, id, path);
  }

  /** Resolves when they are on the disk. */
  async saveUses(id: TokenId, uses: Iterable<Use>): Promise<void> {
    await writeFileAtomic(this.#usesFile(id), usesText(this.kind, uses));
  }

  /** Revokes the token whose id begins with `start`; the token as it was, or undefined where it was revoked before. Throws CONFIG. */
  async revoke(start: string, nowMs: Terms['createdMs']): Promise<{ id: TokenId; users: readonly Use[] | undefined }> {
    const id = await this.#only(start);
    const terms = await this.terms(id);
    if (terms === undefined) throw new MixError('CONFIG', `there is no ${this.kind.name} ${id}`);
    if (terms.revokedMs !== undefined) return { id, users: undefined };
    await this.change({ ...terms, revokedMs: nowMs });
    const users = await this.uses(id).then(
      (uses) => [...uses.values()],
      () => [],
    );
    return { id, users };
  }

  async #only(start: string): Promise<TokenId> {
    const { name, revokeCommand } = this.kind;
    const found = /^[0-9a-f]{4,16}$/.test(start) ? (await this.tokenIds()).filter((id) => id.startsWith(start)) : [];
    const [id] = found;
    if (id !== undefined && found.length === 1) return id;
    const what = found.length > 1 ? `${found.length} ${name}s begin with` : `there is no ${name}`;
    const list = revokeCommand.replace(/revoke$/, 'list');
    throw new MixError('CONFIG', `${what} '${start.slice(0, 16)}': ${list} names them all`);
  }

  protected async make(folder: string): Promise<void> {
    makeFolder(folder);
    const owner = await foreignOwner(this.dir);
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  }

  #termsFile(id: TokenId): string {
    return join(this.#folder, `${id}.json`);
  }

  #usesFile(id: TokenId): string {
    return join(this.#folder, `${id}.uses.json`);
  }
}

/** The names in a folder, in order; none where there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
