/**
 * Sphinx by measure: processor time and memory per operation of one build, with one choice of libraries.
 * @module
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Crypto } from '../../lib/crypto/index.ts';
import { type Case, type Effort, measure } from '../harness/cpu-time.ts';
import { type Figure, figure, median, type Terms } from '../harness/figure.ts';
import { LIMIT, limitCase } from '../harness/limit.ts';
import type { SphinxModules } from '../harness/modules.ts';
import { headerCases, packetCases, UNWRAP, unwrapPrimitives } from './operations.ts';

/** Few, so that nothing is collected while they run; fewer of what is slow, so that all batches end soon. */
const ALLOCATING_RUNS = 20;
const ALLOCATING_MICROS = 20_000;
const ALLOCATING_BATCHES = 7;

export type Backend = 'native' | 'without-libsodium' | 'noble';

/** Commits without `loadCrypto` know no library that loads asynchronously. */
async function cryptoOf({ crypto }: SphinxModules, backend: Backend): Promise<Crypto> {
  const { availableBackends, createCrypto } = crypto;
  const { loadCrypto }: Partial<SphinxModules['crypto']> = crypto;
  if (backend === 'native') return createCrypto('fastest');
  if (backend === 'noble') return createCrypto('noble');
  const none = () => undefined;
  return loadCrypto === undefined ? createCrypto('fastest', availableBackends(none)) : loadCrypto('fastest', none);
}

/** All figures of one backend and packet size. */
export async function measureSphinx(
  modules: SphinxModules,
  backend: Backend,
  packetSize: number,
  effort: Effort,
): Promise<Figure[]> {
  const crypto = await cryptoOf(modules, backend);
  const terms = { backend, packetSize };
  const operations = packetCases(modules, crypto, packetSize);
  const headers = headerCases(modules, crypto);
  const primitives = unwrapPrimitives(modules.rng, crypto, packetSize);
  const times = measure([limitCase(), ...operations, ...headers, ...primitives], effort);
  const timesOf = (cases: readonly Case[]) =>
    cases.map(({ name }) => figure(name, 'us', times.get(name) ?? NaN, terms));
  const unwrap = times.get(UNWRAP) ?? NaN;
  const sum = primitives.reduce((total, { name, times: count }) => total + count * (times.get(name) ?? NaN), 0);
  return [
    ...timesOf([...operations, ...headers]),
    figure(`${UNWRAP}.limits`, 'ratio', unwrap / (times.get(LIMIT) ?? NaN), terms),
    figure(`${UNWRAP}.primitives`, 'us', sum, terms),
    ...timesOf(primitives),
    ...allocations([...operations, ...headers], times, terms),
  ];
}

/** Bytes that one run of each case allocates, on the heap and in buffers beside it. */
function allocations(cases: readonly Case[], times: ReadonlyMap<string, number>, terms: Terms): Figure[] {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return cases.map(({ name, run }) => {
    const fitting = Math.floor(ALLOCATING_MICROS / (times.get(name) ?? ALLOCATING_MICROS));
    const runs = Math.max(1, Math.min(ALLOCATING_RUNS, fitting));
    const batches = Array.from({ length: ALLOCATING_BATCHES }, () => {
      collect();
      const before = allocatedBytes();
      for (let i = 0; i < runs; i++) run(i);
      return (allocatedBytes() - before) / runs;
    });
    return figure(`${name}.allocated`, 'B', Math.max(0, median(batches)), terms);
  });
}

function allocatedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
