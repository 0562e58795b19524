/**
 * Fields that several schemas share, parsed into their branded types.
 * @module
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { type IdentityHex, isIdentityHex } from '../core/bytes.ts';
import { PAYLOAD_SIZES } from '../core/params.ts';
import { textFor } from '../core/parsed-text.ts';

/** The identity of a node: an Ed25519 public key in hex. */
export const identityHex = z.custom<IdentityHex>(
  (value) => typeof value === 'string' && isIdentityHex(value),
  'expected 64 lower-case hex digits',
);

/** Plaintext bytes of a packet. */
export const payloadBytes = z
  .int()
  .refine((size) => PAYLOAD_SIZES.includes(size), `expected one of ${PAYLOAD_SIZES.join(', ')}`);

/** The length of an epoch. */
export const epochSeconds = z
  .int()
  .min(5)
  .max(7 * 86_400);

export const logLevel = z
  .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
  .default('info')
  .describe('least severe level that is logged');

export const cryptoBackend = z
  .enum(['fastest', 'noble'])
  .default('fastest')
  .describe('crypto backend; noble is the slow reference');

/** Between a tenth of a second and `mostMs`, a day unless more is said. */
export const timeoutMs = (defaultMs: number, mostMs = 86_400_000) => z.int().min(100).max(mostMs).default(defaultMs);

/** One text that `parse` reads, or a list of at most `most`. */
export const oneOrSeveral = (parse: (text: string) => unknown, most: number) =>
  z
    .union([z.array(textFor(parse)).min(1).max(most), textFor(parse)])
    .transform((given) => (typeof given === 'string' ? [given] : given));

/** Where links and exchanges with authorities are dialled from. */
export const outboundAddress = z
  .string()
  .refine((text) => isIP(text) !== 0, 'expected an IP address')
  .optional()
  .describe(
    'address of this machine to dial links and the directory from, which must be of its family (default: the system chooses)',
  );

/** What the replay filters of a node, or of a network-requester, may take. */
export const replayMemoryMiB = z
  .int()
  .min(1)
  .max(65_536)
  .default(512)
  .describe('memory of the replay filters in MiB; it bounds the packets accepted per second');

/** The bound of connections per source, and how it is switched off. */
export const connectionsPerSource = (defaultValue: number) =>
  z
    .int()
    .min(0)
    .max(65_536)
    .default(defaultValue)
    .describe(
      'connections of one IPv4 address or IPv6 /64 at a time; 0: no bound, where a load balancer stands before',
    );

/** A node's join token, as `mixsocks directory token create` prints it. */
export const joinToken = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'expected the 64 hex digits of a join token; is a part of it missing?')
  .optional()
  .describe('join token, from who runs the authority: needed until it has listed this identity');

/** What the queues of a process may take. */
export const memoryBudget = z
  .int()
  .min(16)
  .max(1_000_000)
  .optional()
  .describe(
    'MiB that all queues of the process may take together (default: a quarter of what the machine, or its memory cgroup, has)',
  );
