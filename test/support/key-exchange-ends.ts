/** Two ends of a link with a key exchange each, and what became of it. */
import { systemClock } from '../../lib/core/clock.ts';
import type { KeyExchange } from '../../lib/link/index.ts';
import type { PeerTarget } from '../../lib/link/types.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { testListener, testPeerLinks, until } from './link-fixtures.ts';

/** A log that keeps the lines of info and above. */
export function keptLines(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const keep = (_fields: object, line: string) => void lines.push(line);
  const log: Log = { ...silentLog, info: keep, warn: keep, child: () => log };
  return { log, lines };
}

/** What the dialling end says of its first attempt. */
export interface Outcome {
  readonly state: string;
  /** Of the key exchange; empty when there is no link. */
  readonly group: string;
  /** Why there is none. */
  readonly reason: string;
  /** What its log says of a refusal. */
  readonly refusals: readonly string[];
}

/** Dials `target` once, and closes. */
export async function dialOnce(target: PeerTarget, keyExchange: KeyExchange): Promise<Outcome> {
  const { log, lines } = keptLines();
  const peers = await testPeerLinks({ keyExchange, log, clock: { ...systemClock, after: firstTimerOnly() } });
  peers.setPeers([target]);
  const status = () => peers.status()[0];
  await until(() => status()?.state === 'up' || status()?.lastReason !== '');
  const { state = '', group = '', lastReason: reason = '' } = status() ?? {};
  await peers.stop();
  return { state, group, reason, refusals: lines.filter((line) => line.startsWith('link refused')) };
}

/** The first timer is the handshake's; what comes after it would dial again. */
function firstTimerOnly(): (typeof systemClock)['after'] {
  let first = true;
  return (delayMs, fire) => {
    if (!first) return { cancel() {} };
    first = false;
    return systemClock.after(delayMs, fire);
  };
}

/** A link between two ends of this process: what the dialling end says, and what the other end has counted and said. */
export async function link(dialling: KeyExchange, accepting: KeyExchange) {
  const { log, lines } = keptLines();
  const listener = await testListener({ keyExchange: accepting, log });
  const dialled = await dialOnce(listener.target(), dialling);
  if (dialled.state !== 'up') await listener.refused(1);
  const refused = await listener.refusals();
  await listener.close();
  return { dialled, refused, lines };
}
