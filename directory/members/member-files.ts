/**
 * What an authority's folder holds about its members: its join tokens (`TokenFiles`), and
 *
 *     DIR/expelled/<identity>      a node that was expelled: made by `mixsocks directory expel`, empty
 * @module
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import { createFileDurably, namesIn, TokenFiles } from '../../lib/directory/index.ts';
import { JOIN_TOKENS, type JoinTerms, type JoinUse } from './token.ts';

/** Nodes that can be expelled at a time. */
export const MAX_EXPELLED = 4096;

export class MemberFiles extends TokenFiles<JoinTerms, JoinUse> {
  readonly #expelled: string;

  constructor(dir: string) {
    super(dir, JOIN_TOKENS);
    this.#expelled = join(dir, 'expelled');
  }

  override async open(): Promise<void> {
    await super.open();
    await this.make(this.#expelled);
  }

  async expelled(): Promise<Set<IdentityHex>> {
    return new Set((await namesIn(this.#expelled)).filter(isIdentityHex));
  }

  /** Whether it was not expelled already. */
  async expel(identity: IdentityHex): Promise<boolean> {
    await this.make(this.#expelled);
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
}
