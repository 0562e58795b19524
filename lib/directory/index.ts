/**
 * The directory as its users see it: documents, their verification, and the client that keeps a consensus at hand.
 * @module
 */

export { CAPACITY_STEPS, hasCapacity, MAX_CAPACITY, MAX_CLIENTS, SHED_STEPS, stepAtMost } from './capacity.ts';
export type { MakeDescriptor } from './client/announcer.ts';
export { ConsensusStore } from './client/consensus-store.ts';
export { DirectoryClient, type DirectoryClientOptions } from './client/directory-client.ts';
export type { SourcesStatus } from './client/directory-sources.ts';
export type { GatewaySource } from './client/gateway-source.ts';
export type { LaggingSource } from './client/source-watch.ts';
export type { HttpReply, HttpRequest, Transport } from './client/transport.ts';
export { admitClients, LEAST_CLIENTS } from './client-admission.ts';
export { applyDifference, consensusDifference, DIFFERENCE_NAME } from './consensus-difference.ts';
export { type ConsensusText, consensusPieces } from './consensus-pieces.ts';
export {
  COUNTERSIGNATURE_BYTES,
  countersign,
  MAX_COUNTERSIGNATURE_AGE_MS,
  readCountersignature,
} from './countersignature.ts';
export { DOCUMENT_VERSION, DOCUMENT_VERSIONS_HEADER, versionRange, versionsOfField } from './document-versions.ts';
export {
  type Consensus,
  type Countersignature,
  type Descriptor,
  type DescriptorDraft,
  type LoopResult,
  MAX_LOOP_RESULTS,
  MAX_LOOPS_REPORTED,
  MAX_NODES,
  MAX_REQUESTER_GATEWAYS,
  type NodeRecord,
  type NodeRole,
  parseConsensus,
  parseDescriptor,
} from './documents.ts';
export { createFileDurably, writeFileAtomic } from './files.ts';
export {
  type AccessGrant,
  accessGrant,
  invitationKeyOf,
  invitationLine,
  isGranted,
  MAX_INVITATION_GATEWAYS,
  parseInvitation,
} from './invitation.ts';
export { isJoinProof, JOIN_PROOF_HEADER, joinKeyOf, joinProof, readJoinProof } from './join-proof.ts';
export { DELAY_STEPS, meanDelayInForce } from './mixing-delay.ts';
export {
  type Authority,
  authorityHost,
  epochMsOf,
  loadNetworkFile,
  type NetworkFile,
  networkId,
  parseNetworkFile,
  saveNetworkFile,
} from './network-file.ts';
export { MAX_DELIVERY_RATE, MAX_MIXING_TARGET } from './network-params.ts';
export { type Listing, listingFaults, staleness } from './readiness.ts';
export { DocumentRefused, type Refusal } from './refusal.ts';
export { mostLossy, RING_SIZE, ringIndexOf, ringOf } from './ring.ts';
export * as timing from './timing.ts';
export {
  isExpired,
  isRevoked,
  isUsedUp,
  newToken,
  type Token,
  type TokenKeyHex,
  type TokenKind,
  type TokenTerms,
  type TokenUse,
  termsShape,
  tokenIdOf,
  tokenLabel,
  tokenState,
  useShape,
  usesText,
} from './tokens/token.ts';
export { TokenBook } from './tokens/token-book.ts';
export { namesIn, TokenFiles } from './tokens/token-files.ts';
export { REREAD_FOR_UNKNOWN_MS, REREAD_MS, TokenKeeper } from './tokens/token-keeper.ts';
export {
  hostsOf,
  type MixLayer,
  type NodeEntry,
  nodesAhead,
  type RingPosition,
  stagesThatShed,
  Topology,
} from './topology.ts';
export { descriptorIn, signDocument, type VerifiedConsensus, type VerifiedDescriptor, Verifier } from './verify.ts';
