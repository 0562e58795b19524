/**
 * Whom a gateway lets in, and whether a proxy has what a private network asks for.
 * @module
 */
import { invitationFiles } from '../../gateway/invitation-files.ts';
import type { UnixMs } from '../../lib/core/units.ts';
import { parseInvitation, type Topology, tokenState } from '../../lib/directory/index.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Subject } from './subject.ts';

/** With the consensus in force. Throws CONFIG when a file of an invitation is damaged. */
export async function checkAccess(subject: Subject, topology: Topology): Promise<Finding[]> {
  const isPrivate = topology.params.clients === 'invited';
  if (subject.role === 'gateway') return checkGateway(subject, isPrivate);
  return subject.role === 'proxy' ? checkProxy(subject, isPrivate, topology) : [];
}

async function checkGateway({ dir, config, components }: Subject, isPrivate: boolean): Promise<Finding[]> {
  if (!isPrivate && config.clients !== 'invited') return [];
  const nowMs = components.clock.wallMs() as UnixMs;
  const all = await invitationFiles(dir).all();
  const open = all.filter((token) => tokenState(token, nowMs) === 'open').length;
  const devices = all
    .filter(({ terms }) => terms.revokedMs === undefined)
    .reduce((sum, { uses }) => sum + uses.size, 0);
  const who = isPrivate
    ? 'the network is private'
    : 'this gateway lets in invited clients only, and the network is open: that limits its own clients and nothing else';
  const line = `${who}; ${open} open invitations, ${devices} devices that came by one`;
  if (open + devices > 0) return [ok('access', line)];
  return [warning('access', `${line}: nobody can come in; mixsocks gateway invite --dir ${dir} makes an invitation`)];
}

function checkProxy({ config }: Subject, isPrivate: boolean, topology: Topology): Finding[] {
  const named = (config.invitation ?? []).flatMap((line) => parseInvitation(line)?.gateways ?? []);
  if (named.length === 0) {
    if (!isPrivate) return [];
    const remedy = 'get an invitation from who runs a gateway, and set "invitation" to its line';
    return [problem('access', `the network is private: ${remedy}`)];
  }
  const listed = named.filter((id) => topology.byId(id)?.role === 'gateway').length;
  if (listed > 0) return [ok('access', `invited by ${listed} gateways that are listed`)];
  return [problem('access', 'no gateway that the invitation names is listed: ask who gave it for another')];
}
