/**
 * A kind of vector: inputs that are written down, and the function that makes outputs of them with the product's code. The
 * same function makes the vectors and checks them.
 * @module
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fromHex, toHex } from '../../lib/core/bytes.ts';
import type { Crypto } from '../../lib/crypto/index.ts';

/** What may stand in a vector file. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Sample {
  readonly name: string;
  readonly input: Json;
}

export interface Vector extends Sample {
  readonly kind: string;
  readonly output: Json;
}

export interface VectorKind {
  readonly kind: string;
  readonly samples: readonly Sample[];
  /** The output for an input; throws when the input has another shape. */
  compute(crypto: Crypto, input: unknown): Promise<Json>;
}

export function vectorKind<Input extends z.ZodType>(
  kind: string,
  shape: Input,
  compute: (crypto: Crypto, input: z.output<Input>) => Json | Promise<Json>,
  samples: Readonly<Record<string, Json>>,
): VectorKind {
  return {
    kind,
    samples: Object.entries(samples).map(([name, input]) => ({ name, input })),
    compute: async (crypto, input) => compute(crypto, shape.parse(input)),
  };
}

/** Bytes in hex, of one length if it is given. */
export const hex = (lengthBytes?: number) =>
  z.string().transform((text, context) => {
    const bytes = fromHex(text, lengthBytes ?? text.length / 2);
    if (bytes !== undefined) return bytes;
    context.addIssue(`expected ${lengthBytes ?? 'some'} bytes in hex`);
    return z.NEVER;
  });

/** Bytes that follow from a label: everything random in the bundled vectors. */
export function fixed(label: string, lengthBytes = 32): Uint8Array {
  const bytes = createHash('shake256', { outputLength: lengthBytes }).update(`mixsocks vector: ${label}`).digest();
  return new Uint8Array(bytes);
}

export const fixedHex = (label: string, lengthBytes = 32): string => toHex(fixed(label, lengthBytes));

/** Bytes for long inputs that are not worth writing down: byte i is i modulo 251. */
export function pattern(lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => i % 251);
}

/** What `make` gives, or `refusal` when it throws. */
export function orRefused<Refusal extends Json>(make: () => Json, refusal: Refusal): Json {
  try {
    return make();
  } catch {
    return refusal;
  }
}

/** Throws unless what was read back is what was written. */
export function expectSame(read: unknown, written: unknown): void {
  assert.deepEqual(read, written, 'what was written is read back differently');
}
