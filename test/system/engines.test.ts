/** The files in `deploy/` as the programs judge them that they are for; loudly not tested where there is no such program. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ROLE_NAMES } from '../../cli/roles.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
/** "0 is best, 10 worst": of systemd-analyze. */
const MOST_EXPOSURE = 2;
const env = { ...process.env, PATH: `${process.env.PATH}:${join(homedir(), 'go/bin')}` };

function run(t: Test, cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  t.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Whether all `commands` are there; else the test is skipped, aloud. */
function has(t: Test, what: string, ...commands: string[]): boolean {
  const lacking = commands.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`], { env }).status !== 0);
  if (lacking.length === 0) return true;
  process.stderr.write(`NO ${lacking.join(' AND NO ').toUpperCase()} HERE: ${what} NOT TESTED\n`);
  t.pass(what, { skip: `no ${lacking.join(', no ')}` });
  return false;
}

t.test('systemd takes the units of all roles, and finds little that they could do', async (t) => {
  if (!has(t, 'the units are', 'systemd-analyze')) return;
  const dir = t.testdir();
  for (const role of ROLE_NAMES)
    copyFileSync(join(DEPLOY, 'systemd/mixsocks-role@.service'), join(dir, `mixsocks-${role}@.service`));
  for (const role of ROLE_NAMES) {
    const unit = `./mixsocks-${role}@.service`;
    const verified = run(t, dir, 'systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', unit);
    t.equal(verified, '', 'without a complaint');
    const judged = run(t, dir, 'systemd-analyze', 'security', '--offline=true', '--no-pager', unit);
    const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(judged)?.[1]);
    t.ok(exposure <= MOST_EXPOSURE, `${role}: exposure ${exposure}`);
  }
});

t.test('Prometheus takes the alerts, and they come when they should', async (t) => {
  if (!has(t, 'the alerts are', 'promtool')) return;
  const dir = join(DEPLOY, 'monitoring');
  run(t, dir, 'promtool', 'check', 'rules', 'rules.yaml');
  run(t, dir, 'promtool', 'test', 'rules', 'rules.test.yaml');
});

t.test('kustomize builds the manifests, and Kubernetes has schemas for all that is in them', async (t) => {
  if (!has(t, 'the manifests are', 'kustomize', 'kubernetes-validate')) return;
  const dir = t.testdir();
  cpSync(join(DEPLOY, 'kubernetes'), dir, { recursive: true });
  writeFileSync(join(dir, 'nodes/network.json'), '{}');
  writeFileSync(join(dir, 'nodes/join-token'), '00'.repeat(32));
  for (const part of ['authority', 'nodes']) {
    const manifests = run(t, dir, 'kustomize', 'build', part);
    writeFileSync(join(dir, `${part}.yaml`), manifests);
    run(t, dir, 'kubernetes-validate', '--strict', `${part}.yaml`);
    const sets = manifests.match(/^kind: StatefulSet$/gm)?.length;
    for (const guard of ['readinessProbe', 'livenessProbe', 'readOnlyRootFilesystem: true', 'runAsNonRoot: true'])
      t.equal(manifests.split(guard).length - 1, sets, `${part}: ${guard} in each`);
  }
});
