/**
 * All kinds of vectors, and the files that they are in.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Crypto } from '../../lib/crypto/index.ts';
import type { Json, Vector, VectorKind } from './kind.ts';
import { directoryKinds } from './kinds/directory.ts';
import { linkKinds } from './kinds/link.ts';
import { sessionKinds } from './kinds/session.ts';
import { sphinxKinds } from './kinds/sphinx.ts';

/** File → kinds in it. */
export const FILES: Readonly<Record<string, readonly VectorKind[]>> = {
  'sphinx.json': sphinxKinds,
  'link.json': linkKinds,
  'directory.json': directoryKinds,
  'session.json': sessionKinds,
};

const KINDS = new Map(
  Object.values(FILES)
    .flat()
    .map((one) => [one.kind, one]),
);

/** The vectors of some kinds, made anew. */
export async function makeVectors(crypto: Crypto, kinds: readonly VectorKind[]): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const { kind, samples, compute } of kinds) {
    for (const { name, input } of samples) vectors.push({ kind, name, input, output: await compute(crypto, input) });
  }
  return vectors;
}

/** The text of a vector file. */
export function fileText(vectors: readonly Vector[]): string {
  const about = 'docs/PROTOCOL.md; explained in README.md beside this file; made by: npm run vectors:make';
  return `${JSON.stringify({ about, vectors }, null, 1)}\n`;
}

const entry = z.object({ kind: z.string(), name: z.string().optional(), input: z.json(), output: z.json() });

/** Every way in which `value` is not a vector or `crypto` does not reproduce it; empty: passed. */
export async function checkVector(crypto: Crypto, value: unknown): Promise<string[]> {
  const parsed = entry.safeParse(value);
  if (!parsed.success) return [z.prettifyError(parsed.error).replaceAll('\n', ' ')];
  const { kind, input, output } = parsed.data;
  const known = KINDS.get(kind);
  if (known === undefined) return [`there is no kind '${kind}'`];
  try {
    return differences('output', await known.compute(crypto, input), output as Json);
  } catch (error) {
    return [error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : String(error)];
  }
}

/** Where two values differ, by path. */
function differences(path: string, actual: Json, expected: Json): string[] {
  if (isDeepStrictEqual(actual, expected)) return [];
  if (!isObject(actual) || !isObject(expected)) return [`${path}: ${show(actual)}, not ${show(expected)}`];
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...names].flatMap((name) => differences(`${path}.${name}`, actual[name] ?? null, expected[name] ?? null));
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null;
}

const show = (value: Json) => JSON.stringify(value);
