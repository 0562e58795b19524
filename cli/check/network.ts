/**
 * network.json, the authorities that it names, and the clock of this machine beside theirs.
 * @module
 */
import { join } from 'node:path';
import type { DirectoryConfig } from '../../directory/config.ts';
import { asMixError } from '../../lib/core/errors.ts';
import { epochAt } from '../../lib/core/params.ts';
import type { UnixMs } from '../../lib/core/units.ts';
import { CacheFile } from '../../lib/directory/client/cache-file.ts';
import { spanText } from '../../lib/directory/client/clock-check.ts';
import { type Exchange, Fetcher } from '../../lib/directory/client/fetcher.ts';
import { httpTransport } from '../../lib/directory/client/http-transport.ts';
import { ConsensusStore, epochMsOf, loadNetworkFile, type NetworkFile, Verifier } from '../../lib/directory/index.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Subject } from './subject.ts';

/** For all authorities together. */
const ASK_TIMEOUT_MS = 10_000;

/** The network of the folder; undefined for an authority that makes its own at the first start. Throws CONFIG or DOCUMENT. */
export async function networkOf({ role, config, dir, identity }: Subject): Promise<NetworkFile | undefined> {
  if (role !== 'directory') return loadNetworkFile(config.networkFile ?? join(dir, 'network.json'));
  const { existingNetwork, networkParams } = await import('../../directory/network.ts');
  const own = config as unknown as DirectoryConfig;
  const network = identity === undefined ? undefined : await existingNetwork(own, identity.id);
  if (network !== undefined) networkParams(own, network);
  return network;
}

/** How many signatures the network asks for, beside how many authorities it has. */
export function checkThreshold({ name, threshold, authorities }: NetworkFile): Finding[] {
  const count = authorities.length;
  const of = `network ${name}: ${threshold} of ${count} authorities must sign`;
  if (2 * threshold <= count) {
    const least = Math.floor(count / 2) + 1;
    return [
      warning(
        'network',
        `${of}: two groups of them could sign different documents; make the network with ${least} or more`,
      ),
    ];
  }
  if (threshold === count && count > 1) {
    return [warning('network', `${of}: one that is down stops the network; make it with a lower threshold`)];
  }
  return [ok('network', of)];
}

/** What the authorities answered. */
export interface Answers {
  readonly store: ConsensusStore;
  /** The last answer of each that gave one in time, by URL. */
  readonly exchanges: ReadonlyMap<string, Exchange>;
  readonly clockFault: string | undefined;
  /** Whether an answer had the time of day. */
  readonly isDated: boolean;
  /** How far this clock is ahead of theirs. */
  readonly aheadMs: number;
  /** The latest beginning of a consensus that was kept from before; undefined without one. */
  readonly cachedFromMs: UnixMs | undefined;
}

/** Asks every authority for the consensus of this epoch, and takes up what the folder keeps of it. */
export async function askAuthorities(network: NetworkFile, { dir, components }: Subject): Promise<Answers> {
  const { clock } = components;
  const verifier = new Verifier(network, components.crypto);
  const store = new ConsensusStore(verifier);
  const cachedFromMs = await takeUpCache(store, join(dir, 'consensus.json'), clock.wallMs());
  const exchanges = new Map<string, Exchange>();
  const transport = httpTransport(components.outboundAddress);
  const fetcher = new Fetcher({
    ...{ store, transport, components },
    stopped: AbortSignal.timeout(ASK_TIMEOUT_MS),
    onExchange: (exchange) => exchanges.set(exchange.authority, exchange),
  });
  try {
    const epoch = epochAt(clock.wallMs(), epochMsOf(network));
    // Each call begins with another authority, and ends with the first that has the document.
    await Promise.all(network.authorities.map(() => fetcher.consensus(epoch)));
  } finally {
    await transport.close();
  }
  const { fault, isDated, aheadMs } = fetcher.clock;
  return { store, exchanges, clockFault: fault, isDated, aheadMs, cachedFromMs };
}

async function takeUpCache(store: ConsensusStore, path: string, nowMs: UnixMs): Promise<UnixMs | undefined> {
  const texts = await new CacheFile(path, store.verifier.networkIdHex).load().catch(() => []);
  let latest: UnixMs | undefined;
  for (const text of texts) {
    try {
      const { validAfterMs } = store.verifier.consensus(text).consensus;
      if (latest === undefined || validAfterMs > latest) latest = validAfterMs;
      store.offer(text, nowMs, 'cache');
    } catch {
      // An old one, or one of another network: the role does not use it either.
    }
  }
  return latest;
}

/** One finding for each authority. */
export function checkAuthorities(network: NetworkFile, answers: Answers, subject: Subject): Finding[] {
  const reached = network.authorities.some(({ url }) => isAnswer(answers.exchanges.get(url)));
  return network.authorities.map(({ url, id }) => {
    const exchange = answers.exchanges.get(url);
    if (id === subject.identity?.id && subject.holder === undefined)
      return ok('authorities', `${url} is this one, which does not run`);
    switch (exchange?.outcome) {
      case 'new':
      case 'known':
        return ok('authorities', `${url} has the consensus of this epoch`);
      case 'absent':
        return warning('authorities', `${exchange.problem}: it waits for nodes, or this clock is wrong`);
      case 'refused': {
        const remedy = 'network.json may be of an earlier network: get it anew from who runs the authority';
        return problem('authorities', `${exchange.problem}; ${remedy}`);
      }
      default: {
        const line = `${exchange?.problem ?? `no answer from ${url} in time`}; check the connection, or ask who runs it`;
        return reached ? warning('authorities', line) : problem('authorities', line);
      }
    }
  });
}

const isAnswer = (exchange: Exchange | undefined): boolean => exchange !== undefined && exchange.outcome !== 'failed';

/** The clock beside those of the authorities; where none answers, beside the last consensus that was seen. */
export function checkClock({ clockFault, isDated, aheadMs, cachedFromMs }: Answers, nowMs: UnixMs): Finding[] {
  if (clockFault !== undefined) return [problem('clock', clockFault)];
  if (isDated)
    return [ok('clock', `within ${Math.max(1, Math.ceil(Math.abs(aheadMs) / 1000))} s of that of the authorities`)];
  if (cachedFromMs !== undefined && nowMs < cachedFromMs) {
    const behind = spanText(cachedFromMs - nowMs);
    return [
      problem(
        'clock',
        `at least ${behind} behind: a consensus that was seen before begins later; set the date and time`,
      ),
    ];
  }
  return [warning('clock', 'not compared: no authority answers with its time')];
}

/** The line of an error in the network file. */
export const networkFault = (error: unknown): Finding => problem('network', asMixError(error).message);
