/**
 * `mixsocks directory expel`: one node leaves the network, however it came in.
 * @module
 */
import { Archive } from '../../directory/archive.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { unlessRefused } from '../../directory/voting/vote.ts';
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import { MixError } from '../../lib/core/errors.ts';
import { descriptorIn } from '../../lib/directory/index.ts';

/** Expels the node of that name or identity, or takes it back; returns the line to print. */
export async function expelNode(dir: string, word: string, undo: boolean): Promise<string> {
  const files = new MemberFiles(dir);
  const identity = isIdentityHex(word) ? word : await identityOf(dir, files, word);
  if (undo) {
    const was = await files.takeBack(identity);
    return was ? `${identity} may join again\n` : `${identity} had not been expelled\n`;
  }
  const isNew = await files.expel(identity);
  return isNew ? `expelled ${identity}: it leaves with the next consensus\n` : `${identity} was expelled before\n`;
}

/** By the names that nodes have now, and those under which they came. */
async function identityOf(dir: string, files: MemberFiles, name: string): Promise<IdentityHex> {
  const found = new Set<IdentityHex>();
  for (const id of await files.tokenIds()) {
    for (const use of (await files.uses(id)).values()) if (use.name === name) found.add(use.identity);
  }
  for (const [identity, text] of await new Archive(dir).descriptors()) {
    // a damaged file names nobody
    if (unlessRefused(() => descriptorIn(text))?.name === name) found.add(identity);
  }
  const [identity] = found;
  if (identity !== undefined && found.size === 1) return identity;
  if (found.size === 0) throw new MixError('CONFIG', `no node is called '${name}': give its identity (64 hex digits)`);
  throw new MixError(
    'CONFIG',
    `${found.size} nodes are called '${name}': give the identity, of ${[...found].join(', ')}`,
  );
}
