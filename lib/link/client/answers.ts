/**
 * Asks a gateway by a connection of its own, which is closed at once: whether it answers, or for its countersignature.
 * @module
 */
import type { AccessCredential } from '../access.ts';
import { ask, type Question } from '../ask.ts';
import { NO_COMMON_GROUP } from '../key-exchange.ts';
import type { LinkRefusalLog } from '../refusal-log.ts';
import { type ClientTerms, type LinkTarget, linkTargetOf } from '../types.ts';

type Asked = Pick<Question, 'identity' | 'networkId' | 'packetBytes' | 'keyExchange' | 'localAddress' | 'clock'>;

export interface AskOptions extends Asked {
  readonly gateway: LinkTarget;
  readonly client: ClientTerms;
  /** Shown to a gateway of a private network. */
  readonly access?: AccessCredential | undefined;
  readonly refusals: LinkRefusalLog;
  /** It does not answer, or not with a hello that fits. */
  readonly onRefused?: (reason: string) => void;
}

/** Whether `gateway` proves its key, says hello and takes `identity` as a client. */
export async function answers(options: AskOptions): Promise<boolean> {
  return (await askGateway(options, 'client')) !== undefined;
}

/** What `gateway` sends to a requester that wants to be reached through it; undefined when it does not answer. */
export function askCountersignature(options: AskOptions): Promise<Uint8Array | undefined> {
  return askGateway(options, 'countersign');
}

async function askGateway(options: AskOptions, kind: 'client' | 'countersign'): Promise<Uint8Array | undefined> {
  const { identity, networkId, packetBytes, keyExchange, localAddress, clock, client, access } = options;
  const { gateway, refusals } = options;
  const answer = await ask({
    ...{ kind, identity, networkId, packetBytes, keyExchange, localAddress, clock, client, access },
    target: linkTargetOf(gateway),
    onOtherVersion: (theirs) => refusals.otherVersion(theirs),
  });
  if (typeof answer !== 'string') return answer;
  if (answer === NO_COMMON_GROUP) refusals.noCommonGroup();
  options.onRefused?.(answer);
  return undefined;
}
