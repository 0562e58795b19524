/**
 * TLS 1.3 between self-signed Ed25519 identities. Node's defaults authenticate by certificate authority; with those
 * off, nothing is checked unless done here, after the handshake and before the first byte is read or written:
 *
 * - a peer without a certificate completes the handshake all the same;
 * - `checkServerIdentity` is never called when `rejectUnauthorized` is false;
 * - a session ticket would admit its holder without the key, so none is issued and none accepted;
 * - a peer that offers no ALPN is accepted.
 *
 * That the peer holds the certificate's key is proven by TLS itself (CertificateVerify, RFC 8446 section 4.4.3).
 * @module
 */
import { constants } from 'node:crypto';
import type { ConnectionOptions, SecureContextOptions, TLSSocket } from 'node:tls';
import { type IdentityHex, identityHexOf } from '../core/bytes.ts';
import { rawPublicKey } from './certificate.ts';
import type { NodeIdentity } from './identity.ts';
import { curveList, groupsOf, type KeyExchange } from './key-exchange.ts';

export const ALPN = 'mixsocks/1';

/** What TLS needs of an identity. */
export type KeyPair = Pick<NodeIdentity, 'certificatePem' | 'privateKeyPem'>;

/**
 * Key and protocol of our end. One suite and one signature scheme; the groups depend on option and runtime, and nothing else does.
 * Throws MixError CONFIG where the runtime lacks the group.
 */
export function secureOptionsOf(identity: KeyPair, keyExchange: KeyExchange): SecureContextOptions {
  return {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Unlike AES-GCM it has no limit of records per key (RFC 8446 section 5.5), so that long links never rekey.
    ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
    ecdhCurve: curveList(groupsOf(keyExchange)),
    sigalgs: 'ed25519',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** What both ends pass besides the context. */
export const PEER_OPTIONS = {
  requestCert: true,
  rejectUnauthorized: false, // there is no authority to ask: `verifyPeer` compares keys
  ALPNProtocols: [ALPN],
} as const satisfies ConnectionOptions;

export type PeerFault =
  | 'no-certificate'
  | 'not-ed25519'
  | 'wrong-alpn'
  | 'wrong-tls-version'
  | 'resumed-session'
  | 'foreign-key';

/**
 * Who the peer of a finished handshake is, or why it may not stay. Call it in `secureConnection`/`secureConnect`
 * before any read or write, and destroy the socket on a fault.
 */
export function verifyPeer(socket: TLSSocket, pin?: IdentityHex): { peer: IdentityHex } | { fault: PeerFault } {
  if (socket.getProtocol() !== 'TLSv1.3') return { fault: 'wrong-tls-version' };
  if (socket.isSessionReused()) return { fault: 'resumed-session' };
  if (socket.alpnProtocol !== ALPN) return { fault: 'wrong-alpn' };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { fault: 'no-certificate' };
  const key = rawPublicKey(certificate.publicKey);
  if (key === undefined) return { fault: 'not-ed25519' };
  const peer = identityHexOf(key);
  if (pin !== undefined && pin !== peer) return { fault: 'foreign-key' };
  return { peer };
}
