/** What `mixsocks check` says of a private network, and of a gateway that is private alone. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { checkAccess } from '../../cli/check/access.ts';
import type { Subject } from '../../cli/check/subject.ts';
import { invite, revokeInvitation } from '../../cli/gateway/invitations.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { invitationLine, type Topology } from '../../lib/directory/index.ts';
import { nodeEntry } from '../support/nodes.ts';

const gateway = nodeEntry(1, { role: 'gateway' });
const networkOf = (clients: 'open' | 'invited') =>
  ({
    params: { ...DEFAULT_PARAMS, clients },
    byId: (id: string) => (id === gateway.id ? gateway : undefined),
  }) as unknown as Topology;
const subjectOf = (role: 'gateway' | 'proxy', dir: string, config: object = {}) =>
  ({ role, dir, config: { name: 'x', ...config }, components: { clock: systemClock } }) as unknown as Subject;
const wanted = { uses: 1, expires: '30d' };

t.test('a gateway: open, private with its network, private alone, without invitations', async (t) => {
  const dir = t.testdir();
  const said = async (config: object, clients: 'open' | 'invited') =>
    (await checkAccess(subjectOf('gateway', dir, config), networkOf(clients))).map(
      ({ level, line }) => `${level} ${line}`,
    );
  t.strictSame(await said({}, 'open'), []);
  t.match(await said({}, 'invited'), [
    /^warning the network is private; 0 open .*: nobody can come in; mixsocks gateway/,
  ]);
  const { line } = await invite(dir, wanted, [gateway.id]);
  t.strictSame(await said({}, 'invited'), [
    'ok the network is private; 1 open invitations, 0 devices that came by one',
  ]);
  t.match(await said({ clients: 'invited' }, 'open'), [
    /^ok this gateway lets in invited clients only, and the network is open: that limits its own clients and nothing else; 1 open/,
  ]);
  t.match(await revokeInvitation(dir, line), /^revoked the invitation [0-9a-f]{16}\n$/);
  t.match(await revokeInvitation(dir, line), /was revoked before/);
  t.match(await said({}, 'invited'), [/^warning .* 0 open/]);
  await writeFile(join(dir, 'invitations', `${'0'.repeat(16)}.json`), '{');
  await t.rejects(said({}, 'invited'), {
    code: 'CONFIG',
    message: /revokes the invitation 0+ and lets its devices go/,
  });
});

t.test('a proxy: without an invitation, with one of a gateway that is listed, or of one that is not', async (t) => {
  const said = async (clients: 'open' | 'invited', ...lines: string[]) =>
    (await checkAccess(subjectOf('proxy', '/none', { invitation: lines }), networkOf(clients))).map(
      ({ level, line }) => `${level} ${line}`,
    );
  t.strictSame(await said('open'), []);
  t.match(await said('invited'), [/^problem the network is private: get an invitation .* set "invitation"/]);
  const token = 'ab'.repeat(32);
  t.match(await said('invited', invitationLine({ gateways: [gateway.id], token })), [/^ok invited by 1 gateways/]);
  const other = nodeEntry(2, { role: 'gateway' });
  t.match(await said('invited', invitationLine({ gateways: [other.id], token })), [/^problem no gateway that the/]);
});
