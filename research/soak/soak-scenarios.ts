/**
 * What goes wrong in a soak test.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestNetwork } from '../../test/support/localnet.ts';

/** Something that disturbs a network again and again. */
export interface Trouble {
  /** Ends it and puts everything in order; how often it struck. */
  end(): Promise<number>;
}

export interface Scenario {
  /** Flags of localnet. */
  readonly flags: readonly string[];
  readonly disturb?: (network: TestNetwork) => Trouble;
  /** It breaks streams off, as it must: only requests are asked to end well or with an error. */
  readonly resetsStreams?: boolean;
  /** The proxy does nothing for so long at a time: a request may wait that much longer. */
  readonly sleepSeconds?: number;
}

/** Strikes every `periodMs` until ended. A strike puts in order what it broke. */
function recurring(periodMs: number, strike: () => Promise<void>): Trouble {
  const stop = new AbortController();
  let strikes = 0;
  const loop = async () => {
    for (;;) {
      await sleep(periodMs, undefined, { signal: stop.signal });
      await strike();
      strikes += 1;
    }
  };
  const ended = loop().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return {
    end: async () => {
      stop.abort();
      await ended;
      return strikes;
    },
  };
}

/** Kills a node and starts it again after `awayMs`. */
async function bounce(network: TestNetwork, name: string, awayMs: number): Promise<void> {
  await network.kill(name);
  await sleep(awayMs);
  await network.restart(name);
}

const oneOf = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T;

const SLEEP_SECONDS = 330;

async function sleepProxy(network: TestNetwork, ms: number): Promise<void> {
  const { pid } = network.node('proxy-1');
  process.kill(pid, 'SIGSTOP');
  await sleep(ms);
  process.kill(pid, 'SIGCONT');
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  clean: { flags: [] },
  'mixes-drop-5': { flags: ['--fault', 'mixes:drop=0.05'] },
  'mix-drops-50': { flags: ['--fault', 'mix-2-1:drop=0.5'] },
  'mixes-restart': {
    flags: ['--mixes-per-layer', '3'],
    disturb: (network) => recurring(15_000, () => bounce(network, oneOf(network.nodes('mixnode')).name, 3_000)),
  },
  'gateways-restart': {
    flags: [],
    disturb: (network) => recurring(30_000, () => bounce(network, oneOf(network.nodes('gateway')).name, 1_000)),
  },
  mangled: {
    flags: [
      ...['--fault', 'mixes:duplicate=0.05,corrupt=0.02'],
      ...['--fault', 'mix-1-1:delay-ms=200,duplicate=0.2'],
      ...['--fault', 'gateways:duplicate=0.05,corrupt=0.02'],
    ],
  },
  /** Ten turns in five minutes. */
  epochs: { flags: ['--epoch-s', '30'] },
  /** Longer than the requester keeps an idle session, and more epochs than a consensus lasts. */
  sleep: {
    flags: ['--epoch-s', '60'],
    disturb: (network) => recurring(30_000, () => sleepProxy(network, 1000 * SLEEP_SECONDS)),
    resetsStreams: true,
    sleepSeconds: SLEEP_SECONDS,
  },
  'requester-restart': {
    flags: [],
    disturb: (network) => recurring(30_000, () => bounce(network, 'requester-1', 1_000)),
    resetsStreams: true,
  },
};
