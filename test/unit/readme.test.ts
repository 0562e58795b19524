/** What the README and docs/TROUBLESHOOTING.md tell people to type exists: commands, roles, options, scripts, files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { AuditConfig, ExpelConfig, NetworkConfig } from '../../cli/directory/commands.ts';
import { TokenConfig } from '../../cli/directory/tokens.ts';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { PlanConfig } from '../../cli/plan/options.ts';
import { ROLES } from '../../cli/roles.ts';
import { optionsOf } from '../../lib/config/config.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAGES = ['README.md', 'docs/TROUBLESHOOTING.md'];

/** The source of the command line: what commands and options it has besides those of the schemas. */
const program = readdirSync(join(ROOT, 'cli'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => read(`cli/${name}`))
  .join('\n');

/** Commands as they stand in code, without comments. */
function commandsOf(page: string): string[] {
  const text = read(page);
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'));
  const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return [...blocks, ...inline].flatMap((line) => line.replace(/(^|\s)#.*/, '').split('&&')).map((one) => one.trim());
}

const commands = PAGES.flatMap(commandsOf);

/** The words behind `mixsocks`, or behind what it stands for. */
const ours = commands.flatMap((command) => {
  const match = /^(?:mixsocks|node dist\/cli\/main\.js)((?: .*)?)$/.exec(command);
  return match === null ? [] : [(match[1] ?? '').trim().split(/\s+/)];
});

const flagsIn = (words: readonly string[]) =>
  words.slice(0, [...words, '--'].indexOf('--')).filter((w) => /^--[a-z]/.test(w));

t.test('every command has the options that stand behind it', async (t) => {
  const schemas = new Map<string, readonly string[]>([['localnet', optionsOf(LocalnetConfig).map(({ flag }) => flag)]]);
  for (const role of ROLES) {
    const { schema } = await role.load();
    schemas.set(
      role.name,
      optionsOf(schema).map(({ flag }) => flag),
    );
  }
  const others = {
    'directory token': TokenConfig,
    'directory expel': ExpelConfig,
    'directory network': NetworkConfig,
    'directory audit': AuditConfig,
    plan: PlanConfig,
  };
  for (const [name, schema] of Object.entries(others))
    schemas.set(
      name,
      optionsOf(schema).map(({ flag }) => flag),
    );
  t.ok(ours.length > 12, `${ours.length} commands`);
  for (const words of ours) {
    const two = words.slice(0, 2).join(' ');
    const name = words[0] === 'init' ? words[1] : schemas.has(two) ? two : words[0];
    if (name === undefined || /^(ROLE|COMMAND|…|--help)?$/.test(name)) continue;
    const known = schemas.get(name);
    t.ok(known !== undefined || program.includes(`'${name}`), `mixsocks ${words.join(' ')}`);
    for (const flag of flagsIn(words))
      t.ok(
        flag === '--help' || known?.includes(flag) || program.includes(`'${flag}`),
        `mixsocks ${words.join(' ')}: ${flag}`,
      );
  }
  const startFlags = commands.flatMap((command) => /^npm start -- (.*)$/.exec(command)?.[1]?.split(' ') ?? []);
  for (const flag of startFlags.filter((word) => word.startsWith('--')))
    t.ok(schemas.get('localnet')?.includes(flag), `npm start -- ${flag}`);
  const all = ['--help', ...[...schemas.values()].flat()];
  for (const flag of commands
    .filter((command) => /^--[a-z-]+/.test(command))
    .map((command) => command.split(' ')[0] ?? ''))
    t.ok(all.includes(flag) || all.includes(flag.replace('--no-', '--')) || program.includes(`'${flag}`), flag);
});

t.test('scripts and files that are run exist', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const command of commands) {
    const script = /^npm (?:run )?([a-z:]+)/.exec(command)?.[1];
    if (script !== undefined && !['ci', 'link', 'install', 'pack'].includes(script)) t.ok(scripts[script], command);
    const file = /^npx tsx (\S+)/.exec(command)?.[1];
    if (file !== undefined) t.ok(existsSync(join(ROOT, file)), command);
  }
});
