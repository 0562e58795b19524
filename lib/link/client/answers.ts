/**
 * Asks a gateway by a connection of its own, which is closed at once: whether it answers, or for its countersignature.
 * @module
 */
import { createSecureContext } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import { Dial } from '../dial.ts';
import type { NodeIdentity } from '../identity.ts';
import { type KeyExchange, NO_COMMON_GROUP } from '../key-exchange.ts';
import { DEFAULT_LINK_LIMITS } from '../limits.ts';
import type { LinkRefusalLog } from '../refusal-log.ts';
import { secureOptionsOf } from '../tls.ts';
import type { ClientTerms, HelloKind, LinkTarget } from '../types.ts';

const ANSWERED = 'answered';

export interface AskOptions {
  readonly identity: NodeIdentity;
  readonly gateway: LinkTarget;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly client: ClientTerms;
  readonly keyExchange: KeyExchange;
  readonly localAddress?: string | undefined;
  readonly clock: Clock;
  readonly refusals: LinkRefusalLog;
  /** It does not answer, or not with a hello that fits. */
  readonly onRefused?: (reason: string) => void;
}

/** Whether `gateway` proves its key, says hello and takes `identity` as a client. */
export async function answers(options: AskOptions): Promise<boolean> {
  return (await ask(options, 'client')) !== undefined;
}

/** What `gateway` sends to a requester that wants to be reached through it; undefined when it does not answer. */
export function askCountersignature(options: AskOptions): Promise<Uint8Array | undefined> {
  return ask(options, 'countersign');
}

/** What stands behind the gateway's hello. */
function ask(options: AskOptions, kind: HelloKind): Promise<Uint8Array | undefined> {
  const { identity, gateway, networkId, packetBytes, client, keyExchange, localAddress, clock, refusals } = options;
  const { id, host, port } = gateway;
  return new Promise((resolve) => {
    const dial: Dial = Dial.start({
      ...DEFAULT_LINK_LIMITS,
      context: createSecureContext(secureOptionsOf(identity, keyExchange)),
      target: { id, host, port },
      kind,
      terms: { networkId, packetBytes },
      client,
      keyExchange,
      localAddress,
      clock,
      onUp: (_link, extra) => {
        resolve(extra);
        dial.close(ANSWERED);
      },
      onFrame: () => {},
      onOtherVersion: (version) => refusals.otherVersion(version),
      onDown: (reason) => {
        if (reason === ANSWERED) return;
        if (reason === NO_COMMON_GROUP) refusals.noCommonGroup();
        options.onRefused?.(reason);
        resolve(undefined);
      },
    });
  });
}
