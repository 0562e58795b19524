/**
 * The directory as its users see it: documents, their verification, and the client that keeps a consensus at hand.
 * @module
 */
export { JOIN_PROOF_HEADER, joinProof, type MakeDescriptor } from './announcer.ts';
export { ConsensusStore, type Evidence } from './consensus-store.ts';
export { DirectoryClient, type DirectoryClientOptions } from './directory-client.ts';
export {
  type Consensus,
  type Descriptor,
  type DescriptorDraft,
  type LoopResult,
  MAX_LOOP_RESULTS,
  MAX_LOOPS_TOLD,
  MAX_NODES,
  type NodeRecord,
  type NodeRole,
  parseConsensus,
  parseDescriptor,
} from './documents.ts';
export { createFileDurably, writeFileAtomic } from './files.ts';
export {
  type Authority,
  epochMsOf,
  loadNetworkFile,
  type NetworkFile,
  networkId,
  parseNetworkFile,
  saveNetworkFile,
} from './network-file.ts';
export { DocumentRefused, REFUSALS, type Refusal } from './refusal.ts';
export { mostLossy, placeOf, RING_PLACES, ringOf } from './ring.ts';
export * as timing from './timing.ts';
export { type MixLayer, type NodeEntry, PREFIX_BYTES, Topology } from './topology.ts';
export type { HttpReply, HttpRequest, Transport } from './transport.ts';
export { signDocument, type VerifiedConsensus, type VerifiedDescriptor, Verifier } from './verify.ts';
