/** `mixsocks check`: a folder for each defect, with an authority that answers over HTTP. */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkRole } from '../../cli/check/index.ts';
import { type Machine, thisMachine } from '../../cli/check/machine.ts';
import { initRole } from '../../cli/init.ts';
import { ROLES, type Role } from '../../cli/roles.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { systemClock } from '../../lib/core/clock.ts';
import type { NodeRecord } from '../../lib/directory/index.ts';
import { loadIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import { writeKeys } from '../../lib/mixing/key-store.ts';
import { serveMetricsPage } from '../../lib/net/metrics-page.ts';
import { FolderLock } from '../../lib/runtime/folder-lock.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { type ListeningAuthority, listeningAuthority } from '../support/listening-authority.ts';
import { crypto, epochOf, keys, records, signedConsensus } from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';

const HOUR_MS = 3_600_000;
/** In the middle of an epoch. */
const NOW_MS = Date.UTC(2026, 0, 1, 12, 30);
const SECRET = '11'.repeat(32);

interface World {
  readonly dir: string;
  readonly authority: ListeningAuthority;
  readonly identity: NodeIdentity;
  /** Puts the node into the consensus, with what differs there. */
  list(differs?: object): void;
}

/** A mix in the network of an authority that lists it. */
async function mixWorld(t: Test, flags: object = {}): Promise<World> {
  const home = t.testdir();
  const networkFile = join(home, 'network.json');
  const authority = await listeningAuthority(t, networkFile);
  const dir = join(home, 'mix');
  authority.wallMs = () => NOW_MS;
  const { network } = authority;
  await initRole(roleOf('mixnode'), { dir, layer: '1', networkFile, listen: '127.0.0.1:4000', ...flags }, {});
  const identity = await loadIdentity(dir);
  const epoch = epochOf(network, NOW_MS);
  keep(dir, epoch);
  const key = toHex(crypto.x25519Base(new Uint8Array(Buffer.from(SECRET, 'hex'))));
  const world: World = {
    ...{ dir, authority, identity },
    list(differs = {}) {
      const [mix, ...others] = records(epoch);
      const sphinxKeys = [epoch, epoch + 1].map((one) => ({ epoch: epochNumber(one), key }));
      const own = { ...mix, identity: identity.id, name: 'mix', sphinxKeys, ...differs } as NodeRecord;
      const nodes = [own, ...others].sort((a, b) => (a.identity < b.identity ? -1 : 1));
      authority.consensus = (asked) => (asked === epoch ? signedConsensus(network, epoch, { nodes }) : undefined);
    },
  };
  world.list();
  return world;
}

/** Writes the Sphinx keys of the folder. */
function keep(dir: string, epoch: number, secret = SECRET): void {
  const folder = join(dir, 'sphinx');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = { epoch: epochNumber(epoch), secret, active: true };
  writeKeys(folder, { format: 1, epochMs: HOUR_MS, clean: true, keys: [key] });
}

const roleOf = (name: string) => ROLES.find((role) => role.name === name) as Role;

/** A machine on which nothing is in the way. */
const machine: Machine = {
  addresses: () => ['127.0.0.1', '192.0.2.7'],
  freeBytes: () => 2 ** 40,
  openFileLimit: () => 65_536,
  memoryBytes: () => 2 ** 36,
  listenFault: async () => undefined,
  isReachable: async () => true,
  healthFaults: async () => [],
};

interface Differs {
  readonly offsetMs?: number;
  readonly machine?: Partial<Machine>;
  readonly role?: string;
  readonly env?: Record<string, string>;
}

async function look(dir: string, { offsetMs = 0, machine: differs = {}, role, env = {} }: Differs = {}) {
  const clock = { ...systemClock, wallMs: () => unix(NOW_MS + offsetMs) };
  return checkRole(dir, role, env, { clock, machine: { ...machine, ...differs } });
}

/** What is not in order, as `level check: line`. */
async function faults(dir: string, differs: Differs = {}): Promise<string[]> {
  const { findings } = await look(dir, differs);
  return findings
    .filter(({ level, line }) => level !== 'ok' && !line.startsWith('advertised at 127.0.0.1'))
    .map(({ check, level, line }) => `${level} ${check}: ${line}`);
}

/** The folder has this fault and no other. */
async function hasOnly(t: Test, dir: string, wanted: RegExp, differs: Differs = {}): Promise<void> {
  const found = await faults(dir, differs);
  t.match(found, [wanted]);
  t.equal(found.length, 1, found.join('\n'));
}

t.test('a folder in order has no problem, and a check leaves it as it was', async (t) => {
  const { dir, identity } = await mixWorld(t);
  const contents = () =>
    readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => [name, statSync(join(dir, name)).mtimeMs]);
  const before = contents();
  const result = await look(dir);
  t.same(await faults(dir), []);
  t.match(result, { dir, role: 'mixnode', running: null });
  const lines = result.findings.map(({ check, line }) => `${check}: ${line}`).join('\n');
  t.match(lines, new RegExp(`keys: identity ${identity.id}`));
  t.match(lines, /authorities: http\S+ has the consensus of this epoch/);
  t.match(lines, /clock: within \d+ s of that of the authorities/);
  t.match(lines, /listing: epoch \d+ lists mix with the keys of this folder/);
  t.match(lines, /addresses: reaches 1 of 1 neighbours/);
  t.match(lines, /ports: 127\.0\.0\.1:4000 is free/);
  t.same(contents(), before);
});

t.test('files and folders that others can read are named, with the command that mends them', async (t) => {
  const { dir } = await mixWorld(t);
  for (const [name, mode, right] of [
    ['', 0o755, 700],
    ['config.json', 0o644, 600],
    ['sphinx', 0o750, 700],
    ['sphinx/sphinx-keys.json', 0o640, 600],
  ] as const) {
    const path = name === '' ? dir : join(dir, name);
    const { mode: before } = statSync(path);
    chmodSync(path, mode);
    await hasOnly(t, dir, new RegExp(`^problem folder: ${path} can be read .*; run: chmod ${right} ${path}$`));
    chmodSync(path, before);
  }
  chmodSync(join(dir, 'identity.pem'), 0o604);
  t.match((await faults(dir))[0], /chmod 600 .*identity\.pem$/);
});

t.test('a file of another user, as a command under sudo leaves it', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('only root can give files away', { skip: 'not root' });
    return;
  }
  const { dir } = await mixWorld(t);
  chownSync(join(dir, 'config.json'), 12_345, 0);
  await hasOnly(t, dir, /^problem folder: .*config\.json belongs to user 12345, .*; run: chown --reference=/);
});

t.test('keys: none, damaged, of another node, of a copy, from a backup', async (t) => {
  const { dir, authority, identity } = await mixWorld(t);
  const epoch = epochOf(authority.network, NOW_MS);
  keep(dir, epoch, '22'.repeat(32));
  await hasOnly(t, dir, /^problem keys: the Sphinx key of this folder is not the one .*stop any other copy/);
  keep(dir, epoch - 5);
  await hasOnly(t, dir, /^problem keys: this folder has no Sphinx key for epoch \d+/);
  writeFileSync(join(dir, 'sphinx', 'sphinx-keys.json'), '{', { mode: 0o600 });
  t.match(await faults(dir), [/^problem keys: .*sphinx-keys\.json is damaged/]);
  keep(dir, epoch);

  const pem = join(dir, 'identity.pem');
  const own = readFileSync(pem, 'utf8');
  const other = join(dir, '..', 'other');
  await initRole(roleOf('mixnode'), { dir: other, layer: '1' }, {});
  writeFileSync(pem, readFileSync(join(other, 'identity.pem'), 'utf8'));
  await hasOnly(t, dir, new RegExp(`^problem listing: the consensus lists mix with the identity ${identity.id}`));
  writeFileSync(pem, own.replace(/-----BEGIN CERTIFICATE[\s\S]*/, ''));
  t.match(await faults(dir), [/^problem keys: .*identity\.pem is damaged: it holds no certificate/]);
  rmSync(pem);
  t.match(await faults(dir), [/^problem keys: cannot read .*identity\.pem: there is no such file/]);
});

t.test('a damaged file of a token is named, for the role would not start with it', async (t) => {
  const home = t.testdir();
  for (const [name, folder] of [
    ['directory', 'tokens'],
    ['gateway', 'invitations'],
  ] as const) {
    const dir = join(home, name);
    await initRole(roleOf(name), { dir }, {});
    const file = join(dir, folder, `${'a'.repeat(16)}.json`);
    mkdirSync(join(dir, folder), { recursive: true, mode: 0o700 });
    writeFileSync(file, '{', { mode: 0o600 });
    const found = (await look(dir)).findings.filter(({ check }) => check === 'tokens');
    t.match(found, [{ level: 'problem', line: new RegExp(`^${file} `) }], name);
    t.equal(found.length, 1);
    chmodSync(file, 0o644);
    t.match(await faults(dir), [new RegExp(`^problem folder: ${file} can be read`)]);
    rmSync(file);
    const mended = (await look(dir)).findings.filter(({ check }) => check === 'tokens');
    t.match(mended, [{ level: 'ok' }]);
  }
});

t.test('the configuration: what no role knows, what does not fit, what cannot be dialled', async (t) => {
  const { dir } = await mixWorld(t);
  const file = join(dir, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  const write = (differs: object) => writeFileSync(file, JSON.stringify({ ...config, ...differs }));
  write({ listenn: '127.0.0.1:4000' });
  await hasOnly(t, dir, /^problem config: unknown key "listenn" in .*; did you mean "listen"\?/);
  write({ listen: '0.0.0.0:4000' });
  t.match(await faults(dir), [/^problem config: '0\.0\.0\.0' cannot be dialled by others: give --advertise/]);
  write({ layer: 2 });
  t.match(await faults(dir), [/^warning listing: the consensus has this mix in layer 1, the configuration in 2/]);
  write({ listen: '127.0.0.1:4001' });
  t.match(await faults(dir), [/^warning listing: .* 127\.0\.0\.1:4000, the configuration at 127\.0\.0\.1:4001/]);
  write({});
  await hasOnly(t, dir, /^problem config: MIXSOCKS_LAYER: Too big/, { env: { MIXSOCKS_LAYER: '4' } });
});

t.test('settings of the other roles are looked at too', async (t) => {
  const home = t.testdir({ 'policy.txt': 'acept *:80\n' });
  const made = async (role: string, flags: object) => {
    const dir = join(home, `${role}-${Object.keys(flags).length}`);
    await initRole(roleOf(role), { dir, ...flags }, {});
    return (await faults(dir)).filter((line) => line.startsWith('problem config'));
  };
  const exitPolicyFile = join(home, 'policy.txt');
  t.match(await made('requester', { exitPolicyFile }), [/^problem config: exit policy .*policy\.txt: /]);
  t.match(await made('proxy', { socksListen: '0.0.0.0:1080' }), [/--allow-remote if that is meant$/]);
  t.match(await made('directory', { listen: '0.0.0.0:8080' }), [/^problem config: advertise is needed/]);
});

t.test('network.json: none, of an earlier network, of another authority, with a threshold that splits', async (t) => {
  const { dir, authority } = await mixWorld(t);
  const file = join(dir, 'network.json');
  const { network } = authority;
  const write = (differs: object) => writeFileSync(file, JSON.stringify({ ...network, ...differs }));
  write({ name: 'before' });
  t.match(await faults(dir), [/^problem authorities: .*; network\.json may be of an earlier network: get it anew/]);
  const [first] = network.authorities;
  write({ authorities: [first, { id: keys(1001).id, url: `${first?.url}/other` }] });
  t.ok((await faults(dir)).some((line) => /^warning network: .*1 of 2 .*make the network with 2 or more/.test(line)));
  write({ threshold: 2 });
  await hasOnly(t, dir, /^problem network: .*network\.json: threshold: is more than there are authorities/);
  rmSync(file);
  await hasOnly(t, dir, /^problem network: .*network\.json does not exist: copy/);

  const own = join(dir, '..', 'directory');
  await initRole(roleOf('directory'), { dir: own }, {});
  write({});
  writeFileSync(join(own, 'network.json'), readFileSync(file));
  t.match(await faults(own), [/^problem network: .* does not list this authority/]);
});

t.test(
  'a clock that is off by more than 30 s is named with its size, by the authority or the consensus kept',
  async (t) => {
    const { dir, authority } = await mixWorld(t);
    const clockFaults = async (offsetMs: number) =>
      (await faults(dir, { offsetMs })).filter((line) => line.includes(' clock: '));
    t.same(await clockFaults(25_000), []);
    t.same(await clockFaults(-25_000), []);
    t.match(await clockFaults(HOUR_MS), [/^problem clock: .* 1 hour ahead of the directory's: set the date/]);
    t.match(await clockFaults(-2 * HOUR_MS), [/^problem clock: .*2 hours behind/]);
    const { network } = authority;
    const epoch = epochOf(network, NOW_MS);
    const consensuses = [signedConsensus(network, epoch)];
    const id = toHex(new Uint8Array(Buffer.from(JSON.parse(JSON.parse(consensuses[0] ?? '').payload).network, 'hex')));
    writeFileSync(join(dir, 'consensus.json'), JSON.stringify({ network: id, consensuses }), { mode: 0o600 });
    writeFileSync(join(dir, 'network.json'), JSON.stringify({ ...network, authorities: silent(network.authorities) }));
    t.match(await clockFaults(-30 * HOUR_MS), [/^problem clock: at least 1 day and \d+ hours? behind: a consensus/]);
    t.match(await clockFaults(0), [/^warning clock: not compared/]);
  },
);

const silent = (authorities: readonly { id: string }[]) =>
  authorities.map(({ id }) => ({ id, url: 'http://127.0.0.1:1' }));

t.test('authorities and neighbours that cannot be reached', async (t) => {
  const { dir, authority } = await mixWorld(t);
  const only = async (differs: Partial<Machine>, wanted: RegExp) => hasOnly(t, dir, wanted, { machine: differs });
  await only(
    { isReachable: async () => false },
    /^problem addresses: cannot reach any neighbour \(mix-2-1\): see to the firewall/,
  );
  await only(
    { addresses: () => ['2001:db8::7'] },
    /^problem addresses: this machine has no IPv4 address, and sends to mix-2-1/,
  );
  authority.consensus = () => undefined;
  await hasOnly(t, dir, /^warning authorities: .* has no consensus for epoch \d+ yet/);
  const network = { ...authority.network, authorities: silent(authority.network.authorities) };
  writeFileSync(join(dir, 'network.json'), JSON.stringify(network));
  t.match((await faults(dir))[0], /^problem authorities: http:\/\/127\.0\.0\.1:1 can not be reached/);
});

t.test('a port of another program is a problem, one of the running role is none', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  t.teardown(() => other.close());
  const { dir, list } = await mixWorld(t, { listen: `127.0.0.1:${port}` });
  list({ port });
  const { listenFault } = thisMachine;
  const isReachable: Machine['isReachable'] = async (address) =>
    address.kind === 'tcp' && address.port === port ? thisMachine.isReachable(address) : true;
  const real = { machine: { listenFault, isReachable } };
  await hasOnly(
    t,
    dir,
    new RegExp(`^problem ports: 127\\.0\\.0\\.1:${port}: the port is in use by another program`),
    real,
  );
  const lock = await FolderLock.take(dir, { holder: 'mixnode, process 1', warn: () => {} });
  t.same(await faults(dir, real), [], 'held by the process of the same folder');
  t.equal((await look(dir, real)).running, 'mixnode, process 1');
  await new Promise((resolve) => other.close(resolve));
  t.match(await faults(dir, real), [
    /^warning addresses: .* cannot be reached from this machine/,
    /^warning ports: mixnode, process 1 runs, and nothing listens/,
  ]);
  lock.release();
});

t.test('what the running role says of its health is passed on', async (t) => {
  const health = { live: () => [] as string[], ready: () => ['no consensus yet', 'no links'] };
  const config = { metricsListen: '127.0.0.1:0', metricsHosts: [] };
  const page = await serveMetricsPage({ config, metrics: new Metrics(), health, log: silentLog });
  t.teardown(() => page.close());
  const { dir } = await mixWorld(t, { metricsListen: `127.0.0.1:${page.port}` });
  const { healthFaults } = thisMachine;
  t.same(await faults(dir, { machine: { healthFaults } }), [], 'nothing runs, and another role may be there');
  const lock = await FolderLock.take(dir, { holder: 'mixnode, process 1', warn: () => {} });
  t.teardown(() => lock.release());
  t.same(await faults(dir, { machine: { healthFaults } }), [
    'warning health: not ready: no consensus yet',
    'warning health: not ready: no links',
  ]);
  health.live = () => ['the upkeep of its keys has stood still for 80 s'];
  t.match((await faults(dir, { machine: { healthFaults } }))[0], /^problem health: .*80 s: restart it$/);
  await page.close();
  t.match(await faults(dir, { machine: { healthFaults } }), [/^warning health: no answer from http:/]);
});

t.test('a full disk, few open files and little memory are measured against the configured bounds', async (t) => {
  const { dir } = await mixWorld(t);
  const only = (differs: Partial<Machine>, wanted: RegExp) => hasOnly(t, dir, wanted, { machine: differs });
  await only({ freeBytes: () => 50e6 }, /^problem disk: 47 MiB free .*: free some space$/);
  await only({ freeBytes: () => 500e6 }, /^warning disk: .*the role may write 883 MiB/);
  await only({ openFileLimit: () => 256 }, /^problem limits: .* may have 256 files open, and needs 512: ulimit -n 512/);
  await only(
    { memoryBytes: () => 512 * 2 ** 20 },
    /^warning limits: memory: .*: lower memoryBudgetMiB or replayMemoryMiB$/,
  );
});

t.test('a folder that does not say its role is asked for it', async (t) => {
  const { dir } = await mixWorld(t);
  const file = join(dir, 'config.json');
  const { role: _role, ...config } = JSON.parse(readFileSync(file, 'utf8')) as { role: string; layer?: number };
  writeFileSync(file, JSON.stringify(config));
  t.same(await faults(dir), [], 'only a mix has a layer');
  delete config.layer;
  writeFileSync(file, JSON.stringify(config));
  await t.rejects(look(dir), { code: 'CONFIG', message: /does not say its role: give --role, one of proxy, mixnode/ });
  t.match(await look(dir, { role: 'gateway' }), { role: 'gateway' });
  await t.rejects(look(dir, { role: 'mix' }), { code: 'CONFIG', message: /'mix' is no role/ });
  await t.rejects(look(join(dir, 'none')), { code: 'CONFIG', message: /cannot use the folder/ });
});
