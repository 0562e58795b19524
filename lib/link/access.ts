/**
 * The part of a client's hello by which it proves that it was invited. It has the same size and place for all clients; those that
 * have no invitation leave it zero. Inside TLS nobody else can tell them apart.
 *
 *     offset 192: key of the invitation 32 | access key 32 | grant 64 | proof 64
 *
 * The grant is a signature by the key of the invitation over the access key, which a client has for that invitation as long as it
 * lives. The proof is one by the access key over what both ends export from this TLS connection (RFC 8446 section 7.5) for these two identities in this
 * network, so that it is good for no other connection, gateway or identity.
 * @module
 */
import { sign } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { concatBytes, type IdentityHex } from '../core/bytes.ts';
import { privateKeyOfSeed, rawPublicKey } from './certificate.ts';

const AT = 192;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** A hello up to the end of this part. */
export const ACCESS_END = AT + 2 * KEY_BYTES + 2 * SIGNATURE_BYTES;
const EXPORTER = 'EXPORTER-mixsocks-access';
const PROOF_PREFIX = Buffer.from('mixsocks/access-proof/v1\0', 'latin1');

/** What a client shows of an invitation. */
export interface AccessCredential {
  /** Public key of the invitation. */
  readonly invitation: Uint8Array;
  readonly accessKey: Uint8Array;
  readonly accessSeed: Uint8Array;
  readonly grant: Uint8Array;
}

/** What a client has shown, unverified. */
export interface AccessProof {
  readonly invitation: Uint8Array;
  readonly accessKey: Uint8Array;
  readonly grant: Uint8Array;
  readonly proof: Uint8Array;
  /** What `proof` has to be a signature of. */
  readonly proven: Uint8Array;
}

/** The connection that a proof is bound to; its TLS handshake is done. */
export interface ProvenChannel {
  readonly socket: TLSSocket;
  /** Of the other end, which has proven it. */
  readonly peer: IdentityHex;
  /** 32 bytes. */
  readonly networkId: Uint8Array;
}

/** Hello of a client with its credential. */
export function withAccess(hello: Buffer, credential: AccessCredential, channel: ProvenChannel): Buffer {
  const frame = Buffer.alloc(ACCESS_END);
  frame.set(hello);
  const gateway = Buffer.from(channel.peer, 'hex');
  frame.set(accessPart(credential, exported(channel, ownKey(channel), gateway)), AT);
  return frame;
}

/** The part of the hello, on the connection that exports these 32 bytes. */
export function accessPart(
  { invitation, accessKey, accessSeed, grant }: AccessCredential,
  exportedBytes: Uint8Array,
): Uint8Array {
  const proof = sign(null, provenBytes(exportedBytes), privateKeyOfSeed(accessSeed));
  return concatBytes(invitation, accessKey, grant, proof);
}

/** What a client shows in the first ACCESS_END bytes of its hello; undefined when it is nothing. */
export function accessIn(hello: Uint8Array, channel: ProvenChannel): AccessProof | undefined {
  const part = new Uint8Array(hello.subarray(AT, ACCESS_END)); // the hello is part of a buffer of others
  if (part.every((byte) => byte === 0)) return undefined;
  const [keysEnd, grantEnd] = [2 * KEY_BYTES, 2 * KEY_BYTES + SIGNATURE_BYTES];
  return {
    invitation: part.subarray(0, KEY_BYTES),
    accessKey: part.subarray(KEY_BYTES, keysEnd),
    grant: part.subarray(keysEnd, grantEnd),
    proof: part.subarray(grantEnd),
    proven: provenBytes(exported(channel, Buffer.from(channel.peer, 'hex'), ownKey(channel))),
  };
}

/** Both ends get the same bytes of one connection, and no two connections give the same. */
function exported({ socket, networkId }: ProvenChannel, client: Uint8Array, gateway: Uint8Array): Uint8Array {
  // The certificate of the client is not part of what TLS exports from.
  return socket.exportKeyingMaterial(KEY_BYTES, EXPORTER, Buffer.from(concatBytes(networkId, client, gateway)));
}

function provenBytes(exportedBytes: Uint8Array): Uint8Array {
  return concatBytes(PROOF_PREFIX, exportedBytes);
}

function ownKey({ socket }: ProvenChannel): Uint8Array {
  const certificate = socket.getX509Certificate();
  return (certificate && rawPublicKey(certificate.publicKey)) ?? new Uint8Array(KEY_BYTES);
}
