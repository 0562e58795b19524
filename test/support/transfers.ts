/**
 * Transfers through a SOCKS front, checked byte for byte.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from './localnet.ts';
import { curl, pattern, patternSha256, sha256, type TestWeb } from './web.ts';

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** What went wrong; empty when every byte came. */
  readonly fault: string;
}

export class Transfers {
  constructor(
    readonly scope: Scope,
    readonly socks: string,
    readonly web: TestWeb,
  ) {}

  async download(bytes: number, timeoutSeconds: number, seed = 'down'): Promise<Transfer> {
    const result = await curl(this.socks, [`${this.web.url}/bytes/${bytes}?${seed}`], timeoutSeconds);
    const right = result.code === 0 && sha256(result.body) === patternSha256(bytes, seed);
    const fault = result.code === 0 ? `${result.body.length} bytes, wrong hash` : result.stderr.trim();
    return { bytes, seconds: result.seconds, fault: right ? '' : fault };
  }

  async upload(bytes: number, timeoutSeconds: number, seed = 'up'): Promise<Transfer> {
    const file = join(this.scope.testdir(), 'upload');
    writeFileSync(file, pattern(bytes, seed));
    const args = ['-H', 'Expect:', '--data-binary', `@${file}`, `${this.web.url}/sha256`];
    const result = await curl(this.socks, args, timeoutSeconds);
    const right = result.code === 0 && result.body.toString() === patternSha256(bytes, seed);
    const answer = result.body.subarray(0, 80).toString();
    const fault = result.code === 0 ? `wrong hash: '${answer}'` : result.stderr.trim();
    return { bytes, seconds: result.seconds, fault: right ? '' : fault };
  }
}

export interface ShortRequests {
  readonly answered: number;
  /** Refused or broken off with an error within the time: truthful, but not an answer. */
  readonly failed: number;
  /** Answered with something else than was there. */
  readonly corrupted: number;
  /** Neither answered nor refused in time. */
  readonly hung: number;
  readonly medianSeconds: number;
  readonly maxSeconds: number;
  /** The distinct errors. */
  readonly errors: readonly string[];
}

const CURL_TIMEOUT = 28;

/** `count` requests of `bytes` each, `atOnce` at a time; each has `timeoutSeconds`. */
export async function shortRequests(
  transfers: Transfers,
  count: number,
  { bytes = 1000, atOnce = 10, timeoutSeconds = 60 } = {},
): Promise<ShortRequests> {
  const seconds: number[] = [];
  const errors = new Set<string>();
  const counts = { answered: 0, failed: 0, corrupted: 0, hung: 0 };
  let next = 0;
  const one = async (i: number) => {
    const result = await curl(transfers.socks, [`${transfers.web.url}/bytes/${bytes}?${i}`], timeoutSeconds);
    seconds.push(result.seconds);
    if (result.code === CURL_TIMEOUT) counts.hung += 1;
    else if (result.code !== 0) counts.failed += 1;
    else if (sha256(result.body) === patternSha256(bytes, String(i))) counts.answered += 1;
    else counts.corrupted += 1;
    if (result.code !== 0) errors.add(result.stderr.trim());
  };
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  seconds.sort((a, b) => a - b);
  return {
    ...counts,
    medianSeconds: seconds[seconds.length >> 1] ?? 0,
    maxSeconds: seconds.at(-1) ?? 0,
    errors: [...errors],
  };
}
