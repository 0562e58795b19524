/**
 * One question over a connection of its own, which is closed with the answer: the hello of the other end, and what stands behind it.
 * @module
 */
import { createSecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { AccessCredential } from './access.ts';
import { Dial } from './dial.ts';
import type { NodeIdentity } from './identity.ts';
import type { KeyExchange } from './key-exchange.ts';
import { DEFAULT_LINK_LIMITS } from './limits.ts';
import { secureOptionsOf } from './tls.ts';
import type { ClientTerms, HelloKind, LinkTarget } from './types.ts';

const ANSWERED = 'answered';

export interface Question {
  readonly kind: HelloKind;
  readonly identity: NodeIdentity;
  readonly target: LinkTarget;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly keyExchange: KeyExchange;
  /** Of a client. */
  readonly client?: ClientTerms;
  readonly access?: AccessCredential | undefined;
  readonly localAddress?: string | undefined;
  /** From the TCP connection to the hello; 10 s by default. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
  readonly onOtherVersion?: (theirs: VersionRange) => void;
}

/** What stands behind the hello of `target`, or, as text, the reason why there is none. */
export function ask(question: Question): Promise<Uint8Array | string> {
  const { identity, networkId, packetBytes, keyExchange, timeoutMs, ...rest } = question;
  const { handshakeTimeoutMs } = DEFAULT_LINK_LIMITS;
  return new Promise((resolve) => {
    const dial: Dial = Dial.start({
      ...DEFAULT_LINK_LIMITS,
      ...rest,
      handshakeTimeoutMs: timeoutMs ?? handshakeTimeoutMs,
      context: createSecureContext(secureOptionsOf(identity, keyExchange)),
      keyExchange,
      terms: { networkId, packetBytes },
      onUp: (_link, extra) => {
        resolve(extra);
        dial.close(ANSWERED);
      },
      onFrame: () => {},
      onDown: (reason) => {
        if (reason !== ANSWERED) resolve(reason);
      },
    });
  });
}

/** For an authority: undefined when the node `target.id` says hello at this address, else the reason why not. */
export async function tryLink(
  question: Omit<Question, 'kind' | 'keyExchange' | 'client' | 'access' | 'onOtherVersion'>,
): Promise<string | undefined> {
  const answer = await ask({ ...question, kind: 'probe', keyExchange: 'any' });
  return typeof answer === 'string' ? answer : undefined;
}
