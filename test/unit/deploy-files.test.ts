/** What the files for systemd, containers, Kubernetes and Prometheus name is there: roles, options, ports, pages, metrics. */
import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { COMMANDS_BESIDE, ROLE_NAMES, ROLES, type RoleName } from '../../cli/roles.ts';
import { optionsOf } from '../../lib/config/config.ts';
import { ERRORS } from '../../lib/core/errors.ts';
import { NODE_DROPS } from '../../lib/mixing/index.ts';
import { watchRoutes } from '../../lib/net/metrics-page.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { DEFAULT_DRAIN_MS } from '../../network-requester/config.ts';
import { composeServices } from '../support/compose-file.ts';
import { WELL } from '../support/status-fixture.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const filesIn = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
const deployed = filesIn('deploy');
const schemas = await Promise.all(ROLES.map(async (role) => [role.name, (await role.load()).schema] as const));
const options = new Map(schemas.map(([role, schema]) => [role, optionsOf(schema)]));

const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([all, first]) => first ?? all);

/** A container of one role: its options by the environment. */
interface Service {
  readonly where: string;
  readonly role: string;
  readonly env: ReadonlyMap<string, string>;
}

const composed: readonly Service[] = composeServices.map((service) => ({
  where: `compose.yaml, ${service.name}`,
  ...service,
}));
const claimed: readonly Service[] = deployed
  .filter((path) => path.endsWith('.yaml') && /kind: StatefulSet\n[\s\S]*args:/.test(read(path)))
  .map((where) => {
    const env = [...read(where).matchAll(/name: (\w+), value: "([^"]*)"/g)];
    const role = /args: \[(\w+)\]/.exec(read(where))?.[1] ?? '';
    return { where, role, env: new Map(env.map(([, name = '', value = '']) => [name, value])) };
  });
const services = [...composed, ...claimed];
const port = (text = '') => /:(\d+)$/.exec(text)?.[1];

t.test('every role has its container, with options that it has', async (t) => {
  t.strictSame(new Set(composed.map(({ role }) => role)), new Set(ROLE_NAMES));
  t.strictSame(new Set(claimed.map(({ role }) => role)), new Set(ROLE_NAMES));
  for (const { where, role, env } of services) {
    const known = new Set(options.get(role as RoleName)?.map(({ variable }) => variable));
    const named = [...env.keys()].filter((name) => name.startsWith('MIXSOCKS_'));
    t.ok(named.length >= 2, `${where}: ${named.length} options`);
    for (const name of named) t.ok(known.has(name), `${where}: ${name}`);
  }
});

t.test('what a container listens on is what it announces, shows and is asked at', async (t) => {
  for (const { where, env } of services) {
    const listen = port(env.get('MIXSOCKS_LISTEN'));
    if (listen === undefined) continue;
    const announced = env.get('MIXSOCKS_ADVERTISE') ?? '';
    t.equal(port(announced), listen, `${where}: advertise`);
    const [host = ''] = announced.split(':');
    t.ok(announced.startsWith('http:') || isIP(host) !== 0 || host === '$(POD_IP)', `${where}: an address and no name`);
  }
  const healthPort = (env: Service['env']) =>
    port(env.get('MIXSOCKS_METRICS_LISTEN') ?? env.get('MIXSOCKS_STATUS_LISTEN'));
  for (const { name, env, healthPort: asked } of composeServices) t.equal(asked, healthPort(env), `${name}: health`);
  for (const { where, env } of claimed) {
    const text = read(where);
    const all = [...env].filter(([name]) => name.endsWith('_LISTEN')).map(([, address]) => port(address));
    t.strictSame(new Set(matches(text, /containerPort: (\d+)/g)), new Set(all), `${where}: containerPort`);
    t.strictSame(new Set(matches(text, /name: \w+, port: (\d+)/g)), new Set(all), `${where}: port`);
    t.equal(/name: metrics, containerPort: (\d+)/.exec(text)?.[1], healthPort(env), `${where}: health`);
  }
  const shown = new Set(services.flatMap(({ env }) => [...env.values()].map(port)));
  const policies = deployed
    .filter((path) => path.endsWith('policies.yaml'))
    .map(read)
    .join('');
  for (const named of matches(policies, /- \{ port: (\d+)/g)) if (named !== '53') t.ok(shown.has(named), named);
});

t.test('pages that are asked for are served', async (t) => {
  const served = Object.keys(watchRoutes(new Metrics(), WELL));
  const asked = deployed.flatMap((path) => matches(read(path), /path: (\/\w+),/g));
  t.ok(asked.length >= 3, `${asked.length} probes`);
  for (const path of asked) t.ok(served.includes(path), path);
  t.match(read('deploy/container/healthy.mjs'), "path = 'readyz'");
});

/** Names of metrics in the code, without their common prefix. */
const counted = new Set(
  ['lib', 'proxy', 'gateway', 'mixnode', 'directory', 'network-requester']
    .flatMap(filesIn)
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => matches(read(path), /\b(?:counter|gauge|counterOf|totalOf|gaugeOf|histogram)\(\s*'([a-z_]+)'/g)),
);

t.test('metrics that alerts, panels and documents name are counted', async (t) => {
  const paths = [...deployed.filter((path) => path.includes('/monitoring/')), 'docs/HOSTING.md'];
  const named = new Set(paths.flatMap((path) => matches(read(path), /\bmixsocks_([a-z_]+)/g)));
  t.ok(named.size > 20, `${named.size} metrics`);
  for (const name of named) t.ok(counted.has(name.replace(/_(bucket|sum|count)$/, '')), name);
  const reasons = paths
    .flatMap((path) => matches(read(path), /reason=~?\\?"([^"\\]+)/g))
    .flatMap((list) => list.split('|'));
  t.ok(reasons.length > 5, `${reasons.length} reasons`);
  for (const reason of reasons) t.ok((NODE_DROPS as readonly string[]).includes(reason), reason);
});

t.test('the unit is for every role, and restarts none for a mistake that a restart does not mend', async (t) => {
  const unit = read('deploy/systemd/mixsocks-role@.service');
  t.strictSame(new Set(matches(unit, /mixsocks-(\w+)@\.service/g)), new Set(ROLE_NAMES));
  const codes = (['USAGE', 'CONFIG', 'IDENTITY', 'DOCUMENT'] as const).map((code) => ERRORS[code].exitCode);
  t.match(unit, `RestartPreventExitStatus=${codes.join(' ')}\n`);
  const limit = Number(/STOP_TIMEOUT_MS = (\d+)/.exec(read('cli/run-role.ts'))?.[1]) + DEFAULT_DRAIN_MS;
  const stops = {
    unit,
    'compose.yaml': read('deploy/compose.yaml'),
    'pod.yaml': read('deploy/kubernetes/common/pod.yaml'),
  };
  for (const [name, text] of Object.entries(stops)) {
    const given = /(?:TimeoutStopSec=|stop_grace_period: |terminationGracePeriodSeconds: )(\d+)/.exec(text)?.[1];
    t.ok(Number(given) * 1000 > limit, `${name}: a role has its time to stop`);
  }
  t.match(unit, /ExecStart=\/usr\/bin\/env mixsocks %j --dir /);
});

t.test('the container starts every role, and documents give commands that there are', async (t) => {
  const cases = /^ {2}mixnode.*\)$/m.exec(read('deploy/container/start.sh'))?.[0] ?? '';
  t.strictSame(new Set([...matches(cases, /(\w+)\\ \*/g), 'directory']), new Set(ROLE_NAMES));
  const beside = matches(read('deploy/container/start.sh'), /"((?:directory|gateway) \w+)"/g);
  const all = Object.entries(COMMANDS_BESIDE).flatMap(([role, words]) => words.map((word) => `${role} ${word}`));
  t.strictSame(new Set(beside), new Set(all), 'no folder is made for a command beside a role');
  const commands = matches(read('docs/HOSTING.md'), /mixsocks (?:init )?(?:mixnode|gateway|requester|proxy) --.*/g);
  t.ok(commands.length > 0, `${commands.length} commands`);
  for (const command of commands) {
    const role = ROLE_NAMES.find((name) => command.includes(` ${name} `)) as RoleName;
    const known = ['--init', ...(options.get(role) ?? []).map(({ flag }) => flag)];
    for (const flag of matches(command, /--[a-z-]+/g)) t.ok(known.includes(flag), `${command}: ${flag}`);
  }
});
