/**
 * Configuration of a role: one flat strict zod schema per role gives the keys of its config file, its flags
 * (`meanDelayMs` → `--mean-delay-ms`) and its environment variables (`MIXSOCKS_MEAN_DELAY_MS`). A flag beats the
 * environment, which beats the file, which beats the default. Whatever is wrong is one line that names the source.
 * @module
 */

import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { z } from 'zod';
import { MixError, systemCode, systemReason } from '../core/errors.ts';
import { readTextFile } from '../core/text-file.ts';
import { expandHome } from './home-folder.ts';
import { nearestName } from './nearest-name.ts';

/** A flat schema: `z.strictObject({ key: z.….default(…).describe(…) })`. */
export type ConfigSchema = z.ZodObject;

type ValueKind = 'boolean' | 'number' | 'string' | 'list' | 'json';

/** One key of a schema as the command line, the environment and the documentation see it. */
export interface ConfigOption {
  readonly key: string;
  /** `--mean-delay-ms` */
  readonly flag: string;
  /** `MIXSOCKS_MEAN_DELAY_MS` */
  readonly variable: string;
  readonly kind: ValueKind;
  readonly description: string;
  readonly required: boolean;
  readonly defaultValue: unknown;
  /** What an enum allows. */
  readonly choices: readonly string[] | undefined;
}

/** The options of a schema, in its order. */
export function optionsOf(schema: ConfigSchema): ConfigOption[] {
  return Object.entries(schema.shape).map(([key, type]) => optionOf(key, type as z.ZodType));
}

/** The parts of zod's own description of a type that decide how a text becomes a value. */
interface TypeFacts {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly defaultValue?: unknown;
  readonly entries?: Readonly<Record<string, string>>;
  /** Of a union: a text may stand for a list of one. */
  readonly options?: readonly z.ZodType[];
}

function optionOf(key: string, outer: z.ZodType): ConfigOption {
  let type = outer;
  let facts = type.def as TypeFacts;
  let description = type.description;
  let required = true;
  let defaultValue: unknown;
  for (let inner = facts.innerType ?? facts.in; inner !== undefined; inner = facts.innerType ?? facts.in) {
    if (facts.type === 'default' || facts.type === 'prefault') defaultValue = facts.defaultValue;
    if (facts.type === 'default' || facts.type === 'prefault' || facts.type === 'optional') required = false;
    type = inner;
    facts = type.def as TypeFacts;
    description ??= type.description;
  }
  const choices = facts.type === 'enum' ? Object.values(facts.entries ?? {}) : undefined;
  const names = { key, flag: flagOf(key), variable: variableOf(key) };
  return { ...names, kind: kindOf(facts), description: description ?? '', required, defaultValue, choices };
}

function kindOf({ type, options = [] }: TypeFacts): ValueKind {
  switch (type) {
    case 'union':
      return options.some((option) => option.def.type === 'array') ? 'list' : 'string';
    case 'boolean':
      return 'boolean';
    case 'number':
    case 'int':
      return 'number';
    case 'array':
      return 'list';
    case 'object':
    case 'record':
      return 'json';
    default:
      return 'string';
  }
}

const words = (key: string): string[] => key.split(/(?=[A-Z])/);
export const flagOf = (key: string): string => `--${words(key).join('-').toLowerCase()}`;
export const variableOf = (key: string): string => `MIXSOCKS_${words(key).join('_').toUpperCase()}`;

/** A value and where it came from, for messages. */
interface Given {
  readonly value: unknown;
  readonly source: string;
}

export interface ConfigSources {
  /** Values by key; texts are converted, `undefined` is absent. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Config file; one that does not exist is empty. */
  readonly file?: string;
  /** Defaults that only the caller can know; they beat those of the schema. */
  readonly fallbacks?: Readonly<Record<string, unknown>>;
  /** Keys that the file may hold beside those of the schema, each with the one value that it may have. */
  readonly fixed?: Readonly<Record<string, string>>;
}

/** Reads, merges and checks; throws CONFIG with one line about the first thing that is wrong. */
export function loadConfig<Schema extends ConfigSchema>(schema: Schema, sources: ConfigSources): z.infer<Schema> {
  const options = optionsOf(schema);
  const given = new Map<string, Given>();
  for (const option of options) {
    const value = sources.fallbacks?.[option.key];
    if (value !== undefined) given.set(option.key, { value, source: option.key });
  }
  if (sources.file !== undefined) addFile(given, options, sources.file, sources.fixed ?? {});
  for (const option of options) {
    const text = sources.env[option.variable];
    if (text !== undefined && text !== '') given.set(option.key, fromText(option, text, option.variable));
  }
  for (const option of options) {
    const value = sources.flags[option.key];
    if (value === undefined) continue;
    given.set(
      option.key,
      typeof value === 'string' ? fromText(option, value, option.flag) : { value, source: option.flag },
    );
  }
  const parsed = schema.safeParse(Object.fromEntries([...given].map(([key, { value }]) => [key, value])));
  if (!parsed.success) throw explain(parsed.error, options, given);
  return parsed.data as z.infer<Schema>;
}

function addFile(
  given: Map<string, Given>,
  options: readonly ConfigOption[],
  file: string,
  fixed: Readonly<Record<string, string>>,
): void {
  const known = options.map((option) => option.key);
  for (const [key, value] of Object.entries(readJsonObject(file))) {
    if (Object.hasOwn(fixed, key)) {
      if (value === fixed[key]) continue;
      throw new MixError('CONFIG', `"${key}" in ${file} is ${JSON.stringify(value)}, not "${fixed[key]}"`);
    }
    if (!known.includes(key)) throw new MixError('CONFIG', `unknown key "${key}" in ${file}${hint(key, known)}`);
    given.set(key, { value: fileRelative(key, value, file), source: `"${key}" in ${file}` });
  }
}

const hint = (name: string, known: readonly string[]): string => {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
};

/** The object in a JSON file; empty when the file does not exist. */
export function readJsonObject(file: string): object {
  let text: string;
  try {
    text = readTextFile(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return {};
    if (error instanceof MixError) throw error;
    throw new MixError('CONFIG', `cannot read ${file}: ${systemReason(error)}`, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MixError(
      'CONFIG',
      `${file} is not JSON: ${error instanceof Error ? oneLine(error.message) : error}`,
      error,
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new MixError('CONFIG', `${file} must hold one JSON object`);
}

/** Keys that end in File or Dir are paths; in a config file they are relative to that file. */
function fileRelative(key: string, value: unknown, file: string): unknown {
  if (!isPath(key, value)) return value;
  const path = expandHome(value, `"${key}" in ${file}`);
  return isAbsolute(path) ? path : join(dirname(resolve(file)), path);
}

const isPath = (key: string, value: unknown): value is string =>
  typeof value === 'string' && /^dir$|(File|Dir)$/.test(key);

/** `config` with its paths made absolute: given relative to where one is, they mean the same in any file. */
export function withAbsolutePaths(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, isPath(key, value) ? resolve(value) : value]),
  );
}

function fromText(option: ConfigOption, text: string, source: string): Given {
  const value = convert(option, text);
  if (value === undefined) throw new MixError('CONFIG', `${source}: '${text}' is not ${EXPECTED[option.kind]}`);
  return { value: isPath(option.key, value) ? expandHome(value, source) : value, source };
}

const EXPECTED: Readonly<Record<ValueKind, string>> = {
  boolean: 'true or false',
  number: 'a number',
  string: 'a text',
  list: 'a list separated by commas',
  json: 'JSON',
};

function convert(option: ConfigOption, text: string): unknown {
  switch (option.kind) {
    case 'boolean':
      return /^(true|1|yes|on)$/i.test(text) ? true : /^(false|0|no|off)$/i.test(text) ? false : undefined;
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
    case 'list':
      return text.split(',').map((part) => part.trim());
    case 'json':
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    default:
      return text;
  }
}

/** One line about the first thing zod found. */
function explain(error: z.ZodError, options: readonly ConfigOption[], given: ReadonlyMap<string, Given>): MixError {
  const issue = error.issues[0] && causeOf(error.issues[0]);
  const option = options.find(({ key }) => key === issue?.path[0]);
  if (issue === undefined || option === undefined)
    return new MixError('CONFIG', oneLine(issue?.message ?? error.message));
  const found = given.get(option.key);
  if (found === undefined) {
    const ways = `${option.flag}, ${option.variable} or "${option.key}" in the config file`;
    return new MixError('CONFIG', `${option.key} is missing: give ${ways}`);
  }
  const choices = option.choices === undefined ? '' : hintChoices(found.value, option.choices);
  const deeper = issue.path.length > 1 ? ` at ${issue.path.slice(1).join('.')}` : '';
  return new MixError('CONFIG', `${found.source}: ${oneLine(issue.message)}${deeper}${choices}`);
}

/** What is wrong with a value that may be one or several: the fault of its own kind, not that it is no other kind. */
function causeOf(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const faults = issue.errors.flatMap(([fault]) => fault ?? []);
  const own = faults.find(({ code, path }) => code !== 'invalid_type' || path.length > 0);
  if (own !== undefined) return { ...own, path: [...issue.path, ...own.path] };
  return { ...issue, message: 'expected a text, or a list of texts' };
}

function hintChoices(value: unknown, choices: readonly string[]): string {
  return typeof value === 'string' && !choices.includes(value) ? hint(value, choices) : '';
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
