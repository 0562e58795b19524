/**
 * The key exchange of links: X25519, or X25519MLKEM768, a hybrid of X25519 and ML-KEM-768 (draft-ietf-tls-ecdhe-mlkem). Who records a
 * link today can read it with a quantum computer later if its keys came from X25519 alone. TLS enforces the choice at both ends,
 * and signs the list of groups with the handshake, so that nobody on the way can take the hybrid out of it.
 * @module
 */
import { createSecureContext, type TLSSocket } from 'node:tls';
import { MixError } from '../core/errors.ts';
import type { Log } from '../telemetry/log.ts';

/** What an end offers and accepts: the hybrid before X25519 where the runtime has it, the hybrid alone, X25519 alone. */
export const KEY_EXCHANGES = ['any', 'hybrid', 'x25519'] as const;
export type KeyExchange = (typeof KEY_EXCHANGES)[number];

export const HYBRID_GROUP = 'X25519MLKEM768';
export const CLASSICAL_GROUP = 'X25519';

/** The reason of a handshake that failed because the other end takes none of our groups. */
export const NO_COMMON_GROUP = 'no-common-group';

export const RUNTIME = `Node.js ${process.version}, OpenSSL ${process.versions.openssl}`;
const WHAT_HAS_IT = 'Node.js 24 or later with OpenSSL 3.5';

let known: boolean | undefined;

/** Whether this runtime has the hybrid group. OpenSSL is asked once: it depends on how Node.js was built. */
export function hasHybrid(): boolean {
  known ??= isGroup(HYBRID_GROUP);
  return known;
}

/** Whether OpenSSL knows a group of this name. */
export function isGroup(name: string): boolean {
  try {
    createSecureContext({ ecdhCurve: name });
    return true;
  } catch {
    // Node.js 20 leaves OpenSSL's error behind, and the next key that is read would fail with it; a context that is made takes it away.
    createSecureContext({ ecdhCurve: CLASSICAL_GROUP });
    return false;
  }
}

/** What is wrong with `choice` on this runtime, and what to do; undefined when nothing is. */
export function keyExchangeFault(choice: KeyExchange): string | undefined {
  if (choice !== 'hybrid' || hasHybrid()) return undefined;
  return `expected any or x25519: hybrid needs ${WHAT_HAS_IT}, and this is ${RUNTIME}`;
}

/** The groups that an end offers and accepts, most wanted first. Throws MixError CONFIG where the runtime lacks one. */
export function groupsOf(choice: KeyExchange): readonly string[] {
  const fault = keyExchangeFault(choice);
  if (fault !== undefined) throw new MixError('CONFIG', `linkKeyExchange: ${fault}`);
  if (choice === 'hybrid') return [HYBRID_GROUP];
  return choice === 'any' && hasHybrid() ? [HYBRID_GROUP, CLASSICAL_GROUP] : [CLASSICAL_GROUP];
}

/**
 * `groups` as Node.js hands them to OpenSSL. A star asks for a key share: with one for each group no handshake needs a
 * second hello. OpenSSL before 3.5 knows no star, and sends the share of an only group.
 */
export function curveList(groups: readonly string[]): string {
  return groups.length === 1 ? groups.join('') : groups.map((group) => `*${group}`).join(':');
}

/** The group that a handshake agreed on. Only the dialling end learns it from Node.js. */
export function groupOf(socket: TLSSocket): string {
  const info = socket.getEphemeralKeyInfo();
  return info !== null && 'name' in info && typeof info.name === 'string' ? info.name : 'unknown';
}

/** One line at the start of an end that takes any group, where the runtime has only the classical one. */
export function sayKeyExchange(choice: KeyExchange, log: Log): void {
  if (choice !== 'any' || hasHybrid()) return;
  log.info(
    {},
    `links use ${CLASSICAL_GROUP} alone: ${RUNTIME} has no ${HYBRID_GROUP}; a later quantum computer could read what is recorded of them today; ${WHAT_HAS_IT} has it`,
  );
}
