/**
 * docs/CONFIGURATION.md from the schemas. `npx tsx test/support/configuration-page.ts` writes it; a unit test compares.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConnectConfig } from '../../cli/connect/index.ts';
import { AuditConfig, ExpelConfig, NetworkConfig } from '../../cli/directory/commands.ts';
import { TokenConfig } from '../../cli/directory/tokens.ts';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { PlanConfig } from '../../cli/plan/options.ts';
import { RunConfig } from '../../cli/proxy-use/options.ts';
import { ROLES } from '../../cli/roles.ts';
import { type ConfigOption, type ConfigSchema, optionsOf } from '../../lib/config/config.ts';

export const CONFIGURATION_PAGE = fileURLToPath(new URL('../../docs/CONFIGURATION.md', import.meta.url));

const INTRODUCTION = `# Configuration

This page is generated from the schemas that check the configuration
(\`npx tsx test/support/configuration-page.ts\`).

Every key of a role is at once a key of \`config.json\` in its folder, a flag and an environment variable:
\`meanDelayMs\`, \`--mean-delay-ms\`, \`MIXSOCKS_MEAN_DELAY_MS\`. A flag beats the environment, which beats the file, which
beats the default. Switches can be negated: \`--no-allow-private\`. Lists are separated by commas. The folder itself is named by
\`--dir\` or \`MIXSOCKS_DIR\`. In a config file, paths (keys that end in \`File\` or \`Dir\`) are relative to the file. A key
that does not exist is an error that names the nearest one. \`role\` in the file, which \`mixsocks init\` writes, says whose folder
it is: another role refuses it. \`networkFile\` is \`network.json\` in the folder, and \`name\` the
name of the folder, unless they are given.

Tokens given as flags can be read by other users of the machine in its list of processes: put them into the config file,
which \`mixsocks init\` makes readable by its owner only.
`;

/** The whole page. */
export async function configurationPage(): Promise<string> {
  const commands = { localnet: LocalnetConfig, run: RunConfig, connect: ConnectConfig, plan: PlanConfig };
  const sections = Object.entries(commands).map(
    ([name, schema]) => `## ${name}\n\nFlags and environment only.\n\n${tableOf(schema)}`,
  );
  const beside = { 'token create': TokenConfig, expel: ExpelConfig, network: NetworkConfig, audit: AuditConfig };
  for (const [name, schema] of Object.entries(beside))
    sections.push(`## directory ${name}\n\nFlags and environment only.\n\n${tableOf(schema)}`);
  for (const role of ROLES) {
    const { schema } = await role.load();
    sections.push(`## ${role.name}\n\nIt is ${role.summary}.\n\n${tableOf(schema)}`);
  }
  return `${[INTRODUCTION.trimEnd(), ...sections].join('\n\n')}\n`;
}

function tableOf(schema: ConfigSchema): string {
  const rows = optionsOf(schema).map((option) => `| \`${option.key}\` | ${defaultOf(option)} | ${meaningOf(option)} |`);
  return ['| key | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

function defaultOf({ defaultValue, required, key }: ConfigOption): string {
  if (key !== 'name' && defaultValue !== undefined && JSON.stringify(defaultValue) !== '[]')
    return `\`${JSON.stringify(defaultValue)}\``;
  return required && key !== 'networkFile' && key !== 'name' ? '**required**' : '';
}

function meaningOf({ description, choices = [] }: ConfigOption): string {
  return `${description}${choices.length > 0 ? ` (${choices.join(', ')})` : ''}`.replaceAll('|', '\\|');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(CONFIGURATION_PAGE, await configurationPage());
