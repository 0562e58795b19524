/**
 * The directory as its users see it: documents, their verification, and the client that keeps a consensus at hand.
 * @module
 */
export { DirectoryClient, type DirectoryClientOptions, type MakeDescriptor } from './client.ts';
export {
  type Consensus,
  type Descriptor,
  type DescriptorDraft,
  MAX_NODES,
  type NodeRecord,
  type NodeRole,
  parseConsensus,
  parseDescriptor,
} from './documents.ts';
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
export { type MixLayer, type NodeEntry, PREFIX_BYTES, Topology } from './topology.ts';
export { signDocument, type VerifiedConsensus, type VerifiedDescriptor, Verifier } from './verify.ts';
