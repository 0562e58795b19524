/**
 * What an authority's folder holds about its members. Each file has one writer, and is replaced as a whole, so that commands
 * and the running authority never undo each other's work:
 *
 *     DIR/tokens/<id>.json         a token's terms: written by `mixsocks directory token`
 *     DIR/tokens/<id>.uses.json    the nodes that came by it: written by the authority, before it lists them
 *     DIR/expelled/<identity>      a node that was expelled: made by `mixsocks directory expel`, empty
 * @module
 */
import { access, chown, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import { MixError, systemCode, systemReason } from '../../lib/core/errors.ts';
import { makeFolder } from '../../lib/core/folders.ts';
import { decodeText } from '../../lib/core/text-file.ts';
import { createFileDurably, foreignOwner, writeFileAtomic } from '../../lib/directory/index.ts';
import {
  isTokenId,
  MAX_TOKENS,
  parseTerms,
  parseUses,
  type TokenId,
  type TokenTerms,
  type TokenUse,
  termsText,
  tokenIdOf,
  usesText,
} from './token.ts';

/** Nodes that can be expelled at a time. */
export const MAX_EXPELLED = 4096;

export class MemberFiles {
  readonly #tokens: string;
  readonly #expelled: string;

  constructor(readonly dir: string) {
    this.#tokens = join(dir, 'tokens');
    this.#expelled = join(dir, 'expelled');
  }

  /** Makes the folders, and clears away uses that a crash left half written: the descriptors they were for were not taken. */
  async open(): Promise<void> {
    await this.#make(this.#tokens);
    await this.#make(this.#expelled);
    for (const name of await readdir(this.#tokens)) {
      if (/\.uses\.json\..*\.draft$/.test(name)) await rm(join(this.#tokens, name), { force: true });
    }
  }

  /** Writes a new token. Throws LIMIT when there are too many. */
  async create(terms: TokenTerms): Promise<void> {
    await this.#make(this.#tokens);
    if ((await this.tokenIds()).length >= MAX_TOKENS) {
      const remedy = `delete the files of tokens that were revoked from ${this.#tokens}`;
      throw new MixError('LIMIT', `an authority has at most ${MAX_TOKENS} join tokens: ${remedy}`);
    }
    const created = await createFileDurably(this.#termsFile(tokenIdOf(terms.key)), termsText(terms));
    if (!created) throw new MixError('CONFIG', `the join token ${tokenIdOf(terms.key)} exists already`);
  }

  /** Writes the terms of a token anew. */
  async change(terms: TokenTerms): Promise<void> {
    await writeFileAtomic(this.#termsFile(tokenIdOf(terms.key)), termsText(terms));
  }

  /** All tokens, in order; of an authority that has never had one, none. */
  async tokenIds(): Promise<TokenId[]> {
    const names = await namesIn(this.#tokens);
    return names.flatMap((name) => (name.endsWith('.json') && isTokenId(name.slice(0, -5)) ? [name.slice(0, -5)] : []));
  }

  /** Rejects with CONFIG when the file is damaged; undefined when there is none. */
  async terms(id: TokenId): Promise<TokenTerms | undefined> {
    const path = this.#termsFile(id);
    const text = await textOf(path);
    return text === undefined ? undefined : parseTerms(text, id, path);
  }

  /** Whether a token has a file, readable or not. */
  async has(id: TokenId): Promise<boolean> {
    return access(this.#termsFile(id)).then(
      () => true,
      () => false,
    );
  }

  /** The nodes that came by a token. Rejects with CONFIG when the file is damaged. */
  async uses(id: TokenId): Promise<Map<IdentityHex, TokenUse>> {
    const path = this.#usesFile(id);
    const text = await textOf(path);
    return text === undefined ? new Map() : parseUses(text, id, path);
  }

  /** Resolves when they are on the disk. */
  async saveUses(id: TokenId, nodes: Iterable<TokenUse>): Promise<void> {
    await writeFileAtomic(this.#usesFile(id), usesText(nodes));
  }

  async expelled(): Promise<Set<IdentityHex>> {
    return new Set((await namesIn(this.#expelled)).filter(isIdentityHex));
  }

  /** Whether it was not expelled already. */
  async expel(identity: IdentityHex): Promise<boolean> {
    await this.#make(this.#expelled);
    if ((await this.expelled()).size >= MAX_EXPELLED) {
      throw new MixError('LIMIT', `at most ${MAX_EXPELLED} nodes are expelled at a time: take some back with --undo`);
    }
    return createFileDurably(join(this.#expelled, identity), '');
  }

  /** Whether it had been expelled. */
  async takeBack(identity: IdentityHex): Promise<boolean> {
    const was = (await this.expelled()).has(identity);
    await rm(join(this.#expelled, identity), { force: true });
    return was;
  }

  async #make(folder: string): Promise<void> {
    makeFolder(folder);
    const owner = await foreignOwner(this.dir);
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  }

  #termsFile(id: TokenId): string {
    return join(this.#tokens, `${id}.json`);
  }

  #usesFile(id: TokenId): string {
    return join(this.#tokens, `${id}.uses.json`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return decodeText(await readFile(path), path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof MixError) throw error;
    throw new MixError('CONFIG', `${path} cannot be read (${systemReason(error)})`, error);
  }
}
