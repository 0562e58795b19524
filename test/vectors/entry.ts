/**
 * The shape of a vector file: what an entry of `packets` must have, and what only some have. Unknown fields are ignored.
 * @module
 */
import { z } from 'zod';

const hex = z
  .string()
  .regex(/^(?:[0-9a-f]{2})*$/i, 'not hex')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')));

/** Exact up to 2^64: in JSON as a string of digits, or as a number where that is exact. */
const nanoseconds = z
  .union([z.string().regex(/^\d{1,20}$/, 'not a number of nanoseconds'), z.number().int().nonnegative().safe()])
  .transform((value) => BigInt(value));

const hop = z.object({
  replayTag: hex.exactOptional(),
  seed: hex.exactOptional(),
  payloadKeySha256: hex.exactOptional(),
  nextAddress: hex.exactOptional(),
  delay: nanoseconds.exactOptional(),
  outAlpha: hex.exactOptional(),
  outPacketSha256: hex.exactOptional(),
  destination: hex.exactOptional(),
  identifier: hex.exactOptional(),
  plaintextSha256: hex.exactOptional(),
});

const entry = z.object({
  name: z.string().exactOptional(),
  version: z.union([z.literal(259), z.literal(260)]),
  initialSecret: hex,
  nodeSecretKeys: z.array(hex).exactOptional(),
  nodePublicKeys: z.array(hex).exactOptional(),
  nodeAddresses: z.array(hex),
  delaysNanos: z.array(nanoseconds),
  destination: hex,
  identifier: hex,
  /** Repeated over the header's random padding. */
  headerPaddingByte: hex.exactOptional(),
  message: hex,
  /** Bytes of the payload with its zero prefix and marker. */
  payloadSize: z.number().int().nonnegative(),
  header: hex.exactOptional(),
  packet: hex.exactOptional(),
  packetSha256: hex.exactOptional(),
  hops: z.array(hop).exactOptional(),
  surb: hex.exactOptional(),
  surbSha256: hex.exactOptional(),
  surbLen: z.number().int().exactOptional(),
});

export type VectorEntry = z.output<typeof entry>;
export type VectorHop = z.output<typeof hop>;

/** The entry, or what is wrong with it. */
export function parseEntry(value: unknown): VectorEntry | string {
  const result = entry.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return `${issue?.path.join('.') || 'entry'}: ${issue?.message ?? 'not valid'}`;
}
