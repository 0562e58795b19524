/**
 * An authority that lies, as a program of its own: `node --import=tsx lying-authority.ts DIR HONEST_URL HOST PORT`, with the identity and
 * the network.json in DIR. It makes what an honest one would make, with an invented mix, without a real one and with other parameters:
 *
 *     epoch mod 3 = 0   two votes, one for each half of those who ask
 *                   1   no vote at all
 *                   2   one vote, for all
 *
 * In every epoch it signs a consensus of its own, which nobody agreed to, and the one of the others as well.
 * @module
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import { canonicalJson } from '../../directory/voting/canonical-json.ts';
import { parseSheet, type Sheet, sheetText } from '../../directory/voting/sheet.ts';
import { type Ballot, parseVote } from '../../directory/voting/vote.ts';
import { toHex } from '../../lib/core/bytes.ts';
import type { NetworkParams } from '../../lib/core/params.ts';
import { type EpochNumber, epochNumber } from '../../lib/core/units.ts';
import { encodeEnvelope, parseEnvelope, sign } from '../../lib/directory/envelope.ts';
import {
  DOCUMENT_VERSION,
  loadNetworkFile,
  networkId,
  type VerifiedDescriptor,
  Verifier,
} from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import { loadIdentity } from '../../lib/link/index.ts';
import { crypto, descriptorOf, draft, signedDescriptor } from '../support/signed-documents.ts';

const [DIR = '', HONEST = '', HOST = '', PORT = ''] = process.argv.slice(2);
const INVENTED = { key: 40, name: 'mix-invented' };
const LEFT_OUT = 'mix-3-1';
const MAX_BYTES = 1_000_000;

const network = await loadNetworkFile(join(DIR, 'network.json'));
const verifier = new Verifier(network, crypto);
const { seed, id } = await loadIdentity(DIR);
/** What it shows by its SHA-256. */
const contents = new Map<string, string>();
/** Who has asked, in the order in which they came. */
const askers: string[] = [];

function keep(text: string): string {
  const digest = toHex(crypto.sha256(Buffer.from(text, 'utf8')));
  contents.set(digest, text);
  return digest;
}

async function ask(path: string): Promise<string | undefined> {
  const reply = await fetch(`${HONEST}/${path}`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  return reply?.ok ? reply.text() : undefined;
}

/** The descriptors of the honest, but for one, and the invented one. */
async function descriptors(epoch: EpochNumber): Promise<VerifiedDescriptor[]> {
  const { descriptors: held } = JSON.parse((await ask('descriptors')) ?? '{"descriptors":[]}') as {
    descriptors: object[];
  };
  const node = draft('mixnode', [epoch - 1, epoch, epoch + 1], { name: INVENTED.name, layer: 3 });
  const invented = signedDescriptor(INVENTED.key, descriptorOf(network, INVENTED.key, node, Date.now()));
  const texts = [...held.map((one) => JSON.stringify(one)), invented];
  return texts.map((text) => verifier.descriptor(text)).filter(({ descriptor }) => descriptor.name !== LEFT_OUT);
}

const paramsOf = (theirs: NetworkParams, meanDelayMs: number): NetworkParams => ({ ...theirs, meanDelayMs });

/** A vote for this slot. */
function voteOf(
  { epoch, attempt }: Sheet,
  held: readonly VerifiedDescriptor[],
  theirs: Ballot,
  delayMs: number,
): string {
  const nodes = held
    .map(({ descriptor, payload, text }): [string, string] => {
      const digest = payloadDigest(payload, crypto);
      contents.set(digest, text);
      return [descriptor.identity, digest];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const { previous } = theirs;
  const ballot = {
    version: DOCUMENT_VERSION,
    params: paramsOf(theirs.params, delayMs),
    nodes,
    ...(previous && { previous }),
  };
  const payload = canonicalJson({
    version: DOCUMENT_VERSION,
    network: toHex(networkId(network, crypto)),
    epoch,
    attempt,
    authority: id,
    ballot: keep(canonicalJson(ballot)),
  });
  return encodeEnvelope({ payload, signatures: [sign('vote', payload, seed, crypto)] });
}

/** What it has made up for one voting: votes, and a consensus. */
interface Lies {
  readonly votes: readonly [string, string];
  readonly own: string;
}

const lies = new Map<string, Promise<Lies | undefined>>();

async function makeLies(sheet: Sheet): Promise<Lies | undefined> {
  const vote = sheet.votes.map((text) => parseVote(parseEnvelope('vote', text, MAX_BYTES).payload))[0];
  const ballotText = vote && (await ask(`voting/${sheet.epoch}/${vote.ballot}`));
  if (ballotText === undefined) return undefined;
  const theirs = JSON.parse(ballotText) as Ballot;
  const held = await descriptors(sheet.epoch);
  const all = held.map(({ descriptor }) => descriptor);
  const nodes = nodesFor(sheet.epoch, all, network, theirs.params, undefined);
  const consensus = buildConsensus(sheet.epoch, nodes, paramsOf(theirs.params, 1), sheet.network, all, undefined);
  return {
    votes: [voteOf(sheet, held, theirs, 1), voteOf(sheet, held.slice(1), theirs, 9_999)],
    own: canonicalJson(consensus),
  };
}

/** The lies of this voting, made once. */
async function liesFor(sheet: Sheet): Promise<Lies | undefined> {
  const key = `${sheet.epoch} ${sheet.attempt}`;
  const made = lies.get(key) ?? makeLies(sheet).catch(() => undefined);
  lies.set(key, made);
  const found = await made;
  if (found === undefined) lies.delete(key);
  return found;
}

async function sheetFor(asker: string, epoch: EpochNumber): Promise<string | undefined> {
  const text = await ask(`voting/${epoch}`);
  if (text === undefined) return undefined;
  const theirs = parseSheet(text);
  const made = await liesFor(theirs);
  if (!askers.includes(asker)) askers.push(asker);
  const half = epoch % 3 === 0 ? askers.indexOf(asker) % 2 : 0;
  const votes = made === undefined || epoch % 3 === 1 ? [] : [made.votes[half] as string];
  const payloads = made === undefined ? [] : [made.own];
  for (const { digest } of theirs.documents) {
    const payload = await ask(`voting/${epoch}/${digest}`);
    if (payload !== undefined) payloads.push(payload);
  }
  const documents = payloads.map((payload) => ({
    digest: keep(payload),
    signatures: [sign('consensus', payload, seed, crypto)],
  }));
  const { result: _result, ...rest } = theirs;
  return sheetText({ ...rest, votes, documents });
}

/** To members it shows its own consensus as that of the network. */
async function ownConsensus(epoch: number): Promise<string | undefined> {
  const sheet = await ask(`voting/${epoch}`);
  const payload = sheet && (await liesFor(parseSheet(sheet)))?.own;
  return payload && encodeEnvelope({ payload, signatures: [sign('consensus', payload, seed, crypto)] });
}

async function answer(path: string, asker: string): Promise<string | undefined> {
  const [, kind, word = '', digest] = path.split('/');
  if (kind === 'descriptor') return 'accepted\n';
  if (kind === 'voting' && digest !== undefined) return contents.get(digest);
  if (kind === 'voting') return sheetFor(asker, epochNumber(Number(word)));
  if (kind !== 'consensus') return undefined;
  return ownConsensus(word === '' ? Math.floor(Date.now() / (network.epochSeconds * 1000)) : Number(word));
}

const server = createServer(async (request, response) => {
  request.resume();
  const body = await answer(request.url ?? '', request.socket.remoteAddress ?? '').catch(() => undefined);
  response.writeHead(body === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
  response.end(body ?? 'nothing of that\n');
});
server.listen(Number(PORT), HOST, () => process.stdout.write(`listening ${HOST}\n`));
