/**
 * Why a node is or is not in a consensus, from what an authority has on its disk: the votes that it accepted, the consensus, the
 * descriptors that it holds, and who was expelled. Reads only; what the files say is not verified again.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { dateText } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import { epochStartMs } from '../../lib/core/params.ts';
import { type EpochNumber, epochNumber } from '../../lib/core/units.ts';
import { MAX_CONSENSUS_BYTES } from '../../lib/directory/documents.ts';
import { parseEnvelope } from '../../lib/directory/envelope.ts';
import {
  type Consensus,
  type Descriptor,
  descriptorIn,
  epochMsOf,
  hasCapacity,
  type NetworkFile,
  parseConsensus,
  timing,
} from '../../lib/directory/index.ts';
import type { Archive } from '../archive.ts';
import { DiskRecords } from './disk-records.ts';
import { type Mention, mentions, quorumOf } from './merge.ts';
import { type Ballot, parseBallot, unlessRefused } from './vote.ts';
import type { KeptVote } from './vote-box.ts';

/** The votes of one voting, as one authority accepted them. */
interface Votes {
  readonly attempt: number;
  /** By author; nothing of one that signed several. */
  readonly ballots: ReadonlyMap<string, Ballot | undefined>;
}

/** What an audit looks at. */
interface Case {
  readonly network: NetworkFile;
  readonly consensus: Consensus;
  readonly signers: number;
  readonly votes: Votes | undefined;
  readonly held: ReadonlyMap<IdentityHex, Descriptor>;
  readonly expelled: ReadonlySet<IdentityHex>;
  /** Why this authority does not list nodes that it holds, by identity. */
  readonly unreachable: ReadonlyMap<string, string>;
}

export interface AuditOptions {
  readonly network: NetworkFile;
  readonly archive: Archive;
  readonly expelled: ReadonlySet<IdentityHex>;
  /** The newest where that is undefined. */
  readonly epoch?: number | undefined;
  /** Name or identity of a node; all where that is undefined. */
  readonly node?: string | undefined;
}

/** The audit as lines. Throws CONFIG when there is no consensus of that epoch, or no such node. */
export async function auditText(options: AuditOptions): Promise<string> {
  const found = await caseOf(options);
  const lines = nodeLines(found);
  const wanted = options.node;
  const shown = lines.filter(({ identity, name }) => wanted === undefined || identity === wanted || name === wanted);
  if (shown.length === 0 && wanted !== undefined) {
    throw new MixError('CONFIG', `no node '${wanted}' stands in this consensus, in a vote for it or on the disk`);
  }
  const texts = shown.map(({ isIn, name, identity, why }) => `${isIn ? 'in ' : 'out'}  ${name}  ${identity}  ${why}`);
  const evidence = await new DiskRecords(options.archive.dir).evidence();
  const accused = evidence.map((file) => `evidence  ${file}`);
  return `${[...headLines(found), ...texts, ...accused].join('\n')}\n`;
}

async function caseOf({ network, archive, expelled, epoch: wanted }: AuditOptions): Promise<Case> {
  const epochs = await archive.epochs();
  const epoch = wanted === undefined ? epochs.at(-1) : epochs.find((one) => one === wanted);
  if (epoch === undefined) {
    const which = wanted === undefined ? 'any epoch' : `epoch ${wanted}`;
    throw new MixError('CONFIG', `${archive.dir} has no consensus of ${which}: there was none, or it is too old`);
  }
  const envelope = parseEnvelope('consensus', await archive.consensus(epoch), MAX_CONSENSUS_BYTES);
  const held = [...(await archive.descriptors())].flatMap(([identity, text]): [IdentityHex, Descriptor][] => {
    const read = unlessRefused(() => descriptorIn(text));
    return read === undefined ? [] : [[identity, read]];
  });
  return {
    network,
    consensus: parseConsensus(envelope.payload),
    signers: envelope.signatures.length,
    votes: await votesOf(new DiskRecords(archive.dir), epoch),
    held: new Map(held),
    expelled,
    unreachable: await archive.unreachable(),
  };
}

/** Of the last voting of `epoch` whose votes were counted: another one may have begun before the signatures of it had come. */
async function votesOf(records: DiskRecords, epoch: EpochNumber): Promise<Votes | undefined> {
  for (const attempt of (await records.attempts(epoch)).reverse()) {
    const votes = await records.votes(epoch, attempt);
    if (votes.size > 0) return { attempt, ballots: ballotsOf(votes) };
  }
  return undefined;
}

/** Nothing of an author of several votes. */
function ballotsOf(votes: ReadonlyMap<string, readonly KeptVote[]>): Votes['ballots'] {
  const ballots = [...votes].map(([authority, kept]): [string, Ballot | undefined] => {
    const [only] = kept;
    return [
      authority,
      kept.length === 1 && only !== undefined ? unlessRefused(() => parseBallot(only.ballot)) : undefined,
    ];
  });
  return new Map(ballots);
}

function headLines({ network, consensus, signers, votes }: Case): string[] {
  const { epoch, nodes } = consensus;
  const from = dateText(epochStartMs(epochNumber(epoch), epochMsOf(network)));
  const head = `epoch ${epoch}, from ${from}: ${nodes.length} nodes, ${signers} of ${network.authorities.length} signatures`;
  if (votes === undefined) return [head];
  const authorities = network.authorities.map(({ id, url }) => `  ${url}  ${id}  ${voteLine(votes, id)}`);
  return [head, `votes (attempt ${votes.attempt}):`, ...authorities];
}

function voteLine({ ballots }: Votes, id: string): string {
  if (!ballots.has(id)) return 'no vote came in time';
  const ballot = ballots.get(id);
  return ballot === undefined ? 'signed several votes, of which none counts' : `lists ${ballot.nodes.length} nodes`;
}

interface NodeLine {
  readonly isIn: boolean;
  readonly identity: IdentityHex;
  readonly name: string;
  readonly why: string;
}

function nodeLines(found: Case): NodeLine[] {
  const { consensus, votes, held, network } = found;
  const ballots = [...(votes?.ballots.values() ?? [])].filter((ballot) => ballot !== undefined);
  const mentioned = mentions(ballots);
  const listed = new Map(consensus.nodes.map((node) => [node.identity, node]));
  const all = [...new Set([...listed.keys(), ...mentioned.keys(), ...held.keys()])].sort();
  return all.map((identity) => {
    const isIn = listed.has(identity);
    const mention = mentioned.get(identity);
    const name = listed.get(identity)?.name ?? held.get(identity)?.name ?? '(unknown here)';
    const counted = votes === undefined ? '' : `on ${mention?.total ?? 0} of ${ballots.length} votes`;
    const outvoted = votes === undefined ? '' : minority(mention, ballots.length, quorumOf(network).witnesses);
    const reasons = isIn ? [counted] : [counted, outvoted, ownReason(identity, found)];
    return { isIn, identity, name, why: reasons.filter((reason) => reason !== '').join('; ') };
  });
}

/** Why the votes do not list it; empty when they do. */
function minority(mention: Mention | undefined, ballots: number, witnesses: number): string {
  if (2 * (mention?.total ?? 0) <= ballots) return 'more than half are needed';
  const most = Math.max(0, ...(mention?.byDigest.values() ?? []));
  return most < witnesses ? `at most ${most} name the same descriptor, and ${witnesses} are needed` : '';
}

/** What of the descriptor that this authority holds speaks against it; it may be newer than the votes. */
function ownReason(identity: IdentityHex, { held, expelled, consensus, network, unreachable }: Case): string {
  if (expelled.has(identity)) return 'expelled here';
  const descriptor = held.get(identity);
  if (descriptor === undefined) return 'this authority holds no descriptor of it';
  const { epoch, params } = consensus;
  const fromMs = timing.announcedFromMs(epochNumber(epoch), epochMsOf(network));
  const { publishedMs, sphinxKeys } = descriptor;
  if (publishedMs < fromMs) return `it last announced itself at ${dateText(publishedMs)}, before ${dateText(fromMs)}`;
  const lacks = [epoch, epoch + 1].find((wanted) => !sphinxKeys.some((key) => key.epoch === wanted));
  if (lacks !== undefined) return `it has no key for epoch ${lacks}`;
  if (!hasCapacity(descriptor, params.minCapacity)) return `it carries less than ${params.minCapacity} packets/s`;
  const gateways = new Set(consensus.nodes.map((node) => node.identity));
  const problem = unreachable.get(identity);
  if (problem !== undefined) return `this authority cannot reach it: ${problem}`;
  const isStranded =
    descriptor.role === 'requester' && !descriptor.gateways.some(({ gateway }) => gateways.has(gateway));
  return isStranded
    ? 'no gateway of it is in'
    : `it announced itself at ${dateText(publishedMs)}, after the list was made`;
}
