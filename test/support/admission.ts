/**
 * Admission without files and without a running authority, and the files of one.
 * @module
 */
import { Admission } from '../../directory/admission.ts';
import type { Archive } from '../../directory/archive.ts';
import { Authority, type AuthorityOptions } from '../../directory/authority.ts';
import { type JoinTerms, MemberFiles, Members } from '../../directory/members/member-files.ts';
import { type JoinRules, Membership } from '../../directory/members/membership.ts';
import { toHex } from '../../lib/core/bytes.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import {
  epochMsOf,
  joinKeyOf,
  type NodeRole,
  type VerifiedDescriptor,
  type Verifier,
} from '../../lib/directory/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from './seeded-rng.ts';
import { crypto, keys } from './signed-documents.ts';
import { monotonic, unix } from './units.ts';

export const OPEN: JoinRules = { allow: new Set(), openToAll: true };
export const CLOSED: JoinRules = { allow: new Set(), openToAll: false };

export function admissionOf(
  verifier: Verifier,
  rules = OPEN,
  maxNodes = 10,
  nowMs: () => MonotonicMs = () => monotonic(0),
  minCapacity = 0,
): Admission {
  return new Admission({ verifier, membership: new Membership(rules, crypto), maxNodes, minCapacity, nowMs });
}

/** Judges and holds at once, as an authority does once the uses are on its disk; undefined when it is held already. */
export function take(
  admission: Admission,
  text: string,
  nowMs: number,
  proof?: string,
): VerifiedDescriptor | undefined {
  const accepted = admission.accept(text, proof, unix(nowMs));
  if (accepted !== undefined) admission.hold(accepted);
  return accepted;
}

/** The n-th token. */
export const joinTokenOf = (n: number): string => toHex(seededRng(5000 + n).bytes(32));

export function termsOf(token: string, terms: Partial<JoinTerms> = {}): JoinTerms {
  const roles: NodeRole[] = ['mixnode', 'gateway', 'requester'];
  return { key: joinKeyOf(token, crypto), uses: 1, roles, createdMs: unix(0), ...terms };
}

/** The members of an authority on the folder `dir`. */
export function membersOn(dir: string, { options }: Admission, clock: Clock, log: Log = silentLog): Members {
  return new Members({ membership: options.membership, files: new MemberFiles(dir), clock, log });
}

/** An authority that is alone, on the folder of `archive`; `others`: what it has other than usual. */
export function authorityOn(
  archive: Archive,
  admission: Admission,
  clock: Clock,
  others: Partial<AuthorityOptions> = {},
): Authority {
  const { verifier } = admission.options;
  return new Authority({
    ...{ verifier, admission, archive, clock, crypto },
    members: membersOn(archive.dir, admission, clock),
    params: { ...DEFAULT_PARAMS, epochMs: epochMsOf(verifier.network) },
    minimums: { mixesPerLayer: 1, gateways: 1, requesters: 1 },
    identitySeed: keys(1000).seed,
    log: silentLog,
    ...others,
  });
}
