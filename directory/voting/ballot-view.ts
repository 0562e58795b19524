/**
 * Between an authority's descriptors and its votes: what it votes for, and what it makes of what all agreed on.
 * @module
 */
import type { NetworkParams } from '../../lib/core/params.ts';
import type { EpochNumber } from '../../lib/core/units.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import type { NodeRecord, VerifiedConsensus, VerifiedDescriptor, Verifier } from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import { buildConsensus, lacking, nodesFor, ROUTABLE } from '../consensus-builder.ts';
import type { Assemble } from './election.ts';
import type { Ballot } from './vote.ts';

/** What an authority that holds the descriptors `held` would list in `epoch`, and its ballot. `last`: the newest consensus that it has. */
export function viewOf(
  epoch: EpochNumber,
  held: readonly VerifiedDescriptor[],
  last: VerifiedConsensus | undefined,
  { verifier, params, crypto }: { verifier: Verifier; params: NetworkParams; crypto: Pick<Crypto, 'sha256'> },
): { nodes: NodeRecord[]; ballot: Omit<Ballot, 'version'> } {
  const previous = last !== undefined && last.consensus.epoch < epoch ? last : undefined;
  const descriptors = held.map(({ descriptor }) => descriptor);
  const nodes = nodesFor(epoch, descriptors, verifier.network, params, previous?.consensus);
  const payloads = new Map(held.map(({ descriptor, payload }) => [descriptor.identity, payload]));
  const lines = nodes.map(({ identity }): Ballot['nodes'][number] => [
    identity,
    payloadDigest(payloads.get(identity) ?? '', crypto),
  ]);
  const named = previous && { previous: { epoch: previous.consensus.epoch, digest: previous.digest } };
  return { nodes, ballot: { params, nodes: lines, ...named } };
}

/** Makes the consensus of the descriptors that were agreed on; a line when no packet would find a route in it. */
export function assembler({ network, networkIdHex }: Verifier): Assemble {
  return ({ epoch }, descriptors, params, previous) => {
    const nodes = nodesFor(epoch, descriptors, network, params, previous);
    const lacks = lacking(nodes, ROUTABLE);
    if (lacks !== '') return `the votes agree on ${lacks}`;
    return buildConsensus(epoch, nodes, params, networkIdHex, descriptors, previous);
  };
}
