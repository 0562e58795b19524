/**
 * Which streams may share a session. The token of a stream is a keyed hash of everything that keeps it apart, under a
 * secret that is drawn at every start: what is stored and compared tells nobody a user name or password.
 * @module
 */
import { createHmac } from 'node:crypto';
import type { Rng } from '../../lib/core/rng.ts';
import type { Protocol } from './handshake/steps.ts';
import type { ListenerOptions } from './listener.ts';

/** Where a stream comes from. */
export interface StreamOrigin {
  readonly listener: Pick<ListenerOptions, 'group' | 'isolateClients' | 'isolateCredentials'>;
  /** Address of the application's machine; none over a unix socket. */
  readonly clientAddress: string | undefined;
  readonly protocol: Protocol;
  /** Raw bytes as latin-1; absent when none were sent, which differs from empty ones. */
  readonly credentials: string | undefined;
}

const TOKEN_BYTES = 16;

export class IsolationTokens {
  readonly #secret: Uint8Array;

  constructor(rng: Rng) {
    this.#secret = rng.bytes(32);
  }

  /** Equal for streams that may share a session. Compare only; never log. */
  tokenOf({ listener, clientAddress, protocol, credentials }: StreamOrigin): string {
    const hash = createHmac('sha256', this.#secret);
    const add = (field: string) => hash.update(`${Buffer.byteLength(field, 'latin1')}:`).update(field, 'latin1');
    add(listener.group);
    add(listener.isolateClients ? (clientAddress ?? '') : '');
    if (listener.isolateCredentials && credentials !== undefined) {
      add(protocol === 'http' ? 'http' : 'socks');
      add(credentials);
    }
    return hash.digest().toString('base64url', 0, TOKEN_BYTES);
  }
}
