/**
 * The tokens that an authority or a gateway has issued: the role does not start with a file of them that is damaged.
 * @module
 */
import { MemberFiles } from '../../directory/members/member-files.ts';
import { invitationFiles } from '../../gateway/invitation-files.ts';
import type { RoleName } from '../roles.ts';
import { type Finding, ok } from './finding.ts';

/** Reads them all. Throws CONFIG when a file is damaged. */
export async function checkTokens(role: RoleName, dir: string): Promise<Finding[]> {
  if (role === 'directory') {
    const [tokens, expelled] = [await new MemberFiles(dir).all(), await new MemberFiles(dir).expelled()];
    return [ok('tokens', `${tokens.length} join tokens, ${expelled.size} nodes expelled`)];
  }
  if (role === 'gateway') return [ok('tokens', `${(await invitationFiles(dir).all()).length} invitations`)];
  return [];
}
