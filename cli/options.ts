/**
 * Commander options from a config schema.
 * @module
 */
import { type Command, Option } from 'commander';
import { type ConfigOption, type ConfigSchema, optionsOf } from '../lib/config/config.ts';

/** Takes the exit code of a command. */
export type Done = (code: number) => void;

const PLACEHOLDERS = { number: '<number>', string: '<text>', list: '<a,b,…>', json: '<json>', boolean: '' } as const;

/** Adds one option per key of `schema`. Values stay texts and absent ones undefined: `loadConfig` does the rest. */
export function addOptions(command: Command, schema: ConfigSchema): void {
  for (const option of optionsOf(schema)) {
    const added = new Option(flagsOf(option), describe(option));
    if (option.kind === 'list') added.argParser(joinLists);
    command.addOption(added);
    if (option.kind !== 'boolean') continue;
    command.addOption(new Option(option.flag.replace('--', '--no-'), `not ${option.flag}`).hideHelp());
  }
}

/** A list may be given in parts, by giving its flag again. */
const joinLists = (part: string, before: string | undefined): string =>
  before === undefined ? part : `${before},${part}`;

function flagsOf(option: ConfigOption): string {
  if (option.kind === 'boolean') return option.flag;
  const { choices = [], kind } = option;
  const short = choices.length > 0 && choices.length <= 3;
  return `${option.flag} ${short ? `<${choices.join('|')}>` : PLACEHOLDERS[kind]}`;
}

function describe(option: ConfigOption): string {
  const { defaultValue, kind, choices = [] } = option;
  const description = choices.length > 3 ? `${option.description}: ${choices.join(', ')}` : option.description;
  const plain = kind === 'boolean' && defaultValue === false;
  if (defaultValue === undefined || plain || (Array.isArray(defaultValue) && defaultValue.length === 0)) {
    return description;
  }
  return `${description} [${defaultValue}]`;
}

/** The flags given, by key. Commander gives the absent half of a `--no-` pair as undefined when both are declared. */
export function givenFlags(command: Command): Record<string, unknown> {
  return command.opts();
}

/** Ends the help of every command with options from a schema. */
export const SOURCES_HELP =
  '\nEach option is also a key of the config file and an environment variable:\n' +
  '  --log-level debug    "logLevel": "debug"    MIXSOCKS_LOG_LEVEL=debug\n' +
  'A flag beats the environment, which beats the file.';
