/**
 * Who is a member of the network: who is on the allow list, and who came by a join token that is still in force. Pure: the
 * terms and uses of tokens come in, a claim to membership or a DocumentRefused comes out.
 *
 * A token is used by an identity, for good: a member announces again without using anything, and nothing gives a use back.
 * @module
 */
import { type IdentityHex, isIdentityHex } from '../../lib/core/bytes.ts';
import { dateText } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { UnixMs } from '../../lib/core/units.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import {
  type Descriptor,
  DocumentRefused,
  isExpired,
  isJoinProof,
  isRevoked,
  isUsedUp,
  type NodeRole,
  readJoinProof,
  type Token,
  TokenBook,
  type VerifiedDescriptor,
} from '../../lib/directory/index.ts';
import type { JoinTerms, JoinUse } from './member-files.ts';

/** Who may join without a token. */
export interface JoinRules {
  readonly allow: ReadonlySet<IdentityHex>;
  readonly openToAll: boolean;
}

/** A token, and the nodes that came by it. */
export type JoinToken = Token<JoinTerms, JoinUse>;

/** What stands on the disk: the operator's terms and the uses of tokens, and who was expelled. */
export interface StoredMembership {
  readonly tokens: readonly JoinToken[];
  readonly expelled: ReadonlySet<IdentityHex>;
}

/** A descriptor that may be taken; `enter` uses up a use of its token where it needs one. */
export interface Claim {
  enter(): void;
}

const ASK = 'ask who runs the authority for a new one';
const NOTHING_TO_USE: Claim = { enter: () => {} };

export class Membership {
  /** Grows when somebody may have ceased to be a member. */
  revision = 0;
  readonly book = new TokenBook<JoinTerms, JoinUse>();
  #expelled: ReadonlySet<IdentityHex> = new Set();
  /** Tokens by the nodes that came by them. */
  readonly #byNode = new Map<IdentityHex, Set<JoinToken>>();

  constructor(
    readonly rules: JoinRules,
    readonly crypto: Pick<Crypto, 'ed25519Verify'>,
  ) {}

  /** Whether nobody can join, for lack of a rule or token. */
  get isClosed(): boolean {
    return this.book.tokens.length === 0 && this.rules.allow.size === 0 && !this.rules.openToAll;
  }

  /** Members, whether they are there now or not. */
  get size(): number {
    const known = new Set([...this.rules.allow, ...this.#byNode.keys()]);
    return [...known].filter((identity) => this.isKnown(identity)).length;
  }

  /** Takes over what stands on the disk. Uses of a token that is known are its own: they are only ever written here. */
  update({ tokens, expelled }: StoredMembership): void {
    this.book.update(tokens);
    this.#expelled = expelled;
    this.#byNode.clear();
    for (const token of this.book.tokens) for (const identity of token.uses.keys()) this.#index(identity, token);
    this.revision += 1;
  }

  /** Whether a seat is kept for `identity`, whatever its role. */
  isKnown(identity: IdentityHex): boolean {
    if (this.#expelled.has(identity)) return false;
    return this.rules.allow.has(identity) || this.#tokensOf(identity).some(({ terms }) => !isRevoked(terms));
  }

  /** Why `identity` is no member in this role; undefined when it is one. */
  refusalOf({ identity, role }: Pick<Descriptor, 'identity' | 'role'>): DocumentRefused | undefined {
    if (this.#expelled.has(identity)) {
      return new DocumentRefused('expelled', 'this node was expelled from the network: ask who runs the authority');
    }
    if (this.rules.openToAll || this.rules.allow.has(identity)) return undefined;
    const tokens = this.#tokensOf(identity);
    if (tokens.some(({ terms }) => !isRevoked(terms) && terms.roles.includes(role))) return undefined;
    const inForce = tokens.find(({ terms }) => !isRevoked(terms));
    if (inForce !== undefined) return wrongRole(inForce.terms, role);
    return tokens.length > 0 ? revoked() : new DocumentRefused('not-a-member', `a join token is needed: ${ASK}`);
  }

  /** The claim of a descriptor whose signature holds, with the proof that came with it; throws DocumentRefused. */
  claim({ descriptor, payload }: VerifiedDescriptor, proof: string | undefined, nowMs: UnixMs): Claim {
    const refusal = this.refusalOf(descriptor);
    if (refusal === undefined) return NOTHING_TO_USE;
    if (refusal.reason === 'expelled' || proof === undefined) throw refusal;
    const token = this.#proven(proof, payload);
    const { identity, role, name } = descriptor;
    requireUsable(token, role, this.book.latest(nowMs));
    return { enter: () => this.#use(token, { identity, role, name, atMs: nowMs }) };
  }

  /** The token that was proven to be known. Of one that is not, nothing is said but that. */
  #proven(header: string, payload: string): JoinToken {
    const proof = readJoinProof(header);
    const token = proof === undefined ? undefined : this.book.find(proof.key);
    if (proof !== undefined && token !== undefined && isJoinProof(proof, payload, this.crypto)) return token;
    throw new DocumentRefused('token-unknown', `the authority knows no such join token: check joinToken, or ${ASK}`);
  }

  #use(token: JoinToken, use: JoinUse): void {
    this.book.use(token.terms.key, use);
    this.#index(use.identity, token);
  }

  #index(identity: IdentityHex, token: JoinToken): void {
    const tokens = this.#byNode.get(identity) ?? new Set();
    this.#byNode.set(identity, tokens.add(token));
  }

  #tokensOf(identity: IdentityHex): JoinToken[] {
    return [...(this.#byNode.get(identity) ?? [])];
  }
}

function requireUsable(token: JoinToken, role: NodeRole, nowMs: UnixMs): void {
  const { terms } = token;
  if (isRevoked(terms)) throw revoked();
  if (isExpired(terms, nowMs)) {
    const at = dateText(terms.expiresMs ?? nowMs);
    throw new DocumentRefused('token-expired', `the join token expired at ${at}: ${ASK}`);
  }
  if (!terms.roles.includes(role)) throw wrongRole(terms, role);
  if (!isUsedUp(token)) return;
  const nodes = terms.uses === 1 ? 'one node' : `${terms.uses} nodes`;
  throw new DocumentRefused('token-used', `the join token was good for ${nodes} and is used up: ${ASK}`);
}

function revoked(): DocumentRefused {
  return new DocumentRefused('token-revoked', `the join token of this node was revoked: ${ASK}`);
}

function wrongRole({ roles }: JoinTerms, role: NodeRole): DocumentRefused {
  return new DocumentRefused('token-role', `the join token is for ${roles.join(', ')}, not for a ${role}: ${ASK}`);
}

/** The rules as configured; throws CONFIG. */
export function joinRules(config: { allow: string[]; openToAll: boolean; maxNodes: number }): JoinRules {
  const bad = config.allow.find((identity) => !isIdentityHex(identity));
  if (bad !== undefined) throw new MixError('CONFIG', `allow: '${bad}' is not an identity (64 lower-case hex digits)`);
  const allow = new Set(config.allow.filter(isIdentityHex));
  if (allow.size > config.maxNodes) {
    throw new MixError('CONFIG', `allow lists ${allow.size} identities, and maxNodes is ${config.maxNodes}`);
  }
  return { allow, openToAll: config.openToAll };
}
