/** What the file system refuses is told as a fault of the configuration; paths given mean the same later. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { initMissingRole, initRole } from '../../cli/init.ts';
import { loadRoleConfig } from '../../cli/role-config.ts';
import { ROLES, type Role } from '../../cli/roles.ts';
import { saveNetworkFile } from '../../lib/directory/index.ts';
import { testNetwork } from '../support/signed-documents.ts';

const roleOf = (name: string) => ROLES.find((role) => role.name === name) as Role;

t.test('a folder that can not be is a line about the configuration', async (t) => {
  const role = roleOf('mixnode');
  const { schema } = await role.load();
  const home = t.testdir({ file: '' });
  const file = join(home, 'file');
  const loop = join(home, 'loop');
  symlinkSync(loop, loop); // nobody can look into it, not even root
  for (const dir of [join(file, 'x'), file, join(loop, 'x')]) {
    t.throws(() => loadRoleConfig(role.name, schema, { dir }, {}), { code: 'CONFIG', message: /folder/ });
    await t.rejects(initRole(role, { dir, layer: '1' }, {}), { code: 'CONFIG', message: /^cannot make / });
  }
});

t.test('init leaves a network.json that is there as it is', async (t) => {
  const home = t.testdir({ proxy: { 'network.json': 'mine' } });
  const networkFile = join(home, 'other.json');
  await saveNetworkFile(networkFile, testNetwork());
  const dir = join(home, 'proxy');
  await t.rejects(initRole(roleOf('mixnode'), { dir, layer: '1', networkFile }, {}), {
    code: 'CONFIG',
    message: /network\.json: it is there already/,
  });
  t.equal(readFileSync(join(dir, 'network.json'), 'utf8'), 'mine');
  t.notOk(existsSync(join(dir, 'config.json')));
});

t.test('a path given to init means the same to the role', async (t) => {
  const home = t.testdir({ 'policy.txt': '' });
  const dir = join(home, 'requester');
  const policy = join(home, 'policy.txt');
  const role = roleOf('requester');
  await initRole(role, { dir, exitPolicyFile: relative(process.cwd(), policy) }, {});
  const { schema } = await role.load();
  t.match(loadRoleConfig(role.name, schema, { dir }, {}), {
    exitPolicyFile: policy,
    networkFile: join(dir, 'network.json'),
  });
});

t.test('the folder of one role is refused by another', async (t) => {
  const dir = join(t.testdir(), 'mix');
  await initRole(roleOf('mixnode'), { dir, layer: '1' }, {});
  const { schema } = await roleOf('gateway').load();
  t.throws(() => loadRoleConfig('gateway', schema, { dir }, {}), {
    code: 'CONFIG',
    message: /^"role" in .*config\.json is "mixnode", not "gateway"$/,
  });
});

t.test('--init makes the folder once, and leaves one that is there as it is', async (t) => {
  const dir = join(t.testdir(), 'mix');
  const role = roleOf('mixnode');
  await initMissingRole(role, { dir, layer: '1' }, {});
  const files = () => ['identity.pem', 'config.json'].map((name) => readFileSync(join(dir, name), 'utf8'));
  const made = files();
  await initMissingRole(role, { dir, layer: '2' }, {});
  t.strictSame(files(), made);
});
