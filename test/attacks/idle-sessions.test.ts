/**
 * A client opens sessions at an exit, as many as there are seats, and lets them lie: alone, with a stock of reply blocks, or after a transfer. What
 * each costs in memory is all that it gains.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const MEASURE = fileURLToPath(new URL('../support/idle-sessions.mjs', import.meta.url));
/** Of a session without reply blocks. */
const MOST_FRESH_BYTES = 4096;
/** As the table counts them. */
const MOST_BLOCK_BYTES = 448;
/** Of a session that was busy, without its reply blocks: numbers of the packets that came stay. */
const MOST_AFTER_BYTES = 16_384;
const MOST_MEASURES = 3;

interface Measured {
  readonly sessions: number;
  readonly freshBytes: number;
  readonly blockBytes: number;
  readonly afterBytes: number;
  readonly keptBytes: number;
}

async function measure(): Promise<Measured> {
  const { stdout } = await promisify(execFile)(process.execPath, [MEASURE]);
  return JSON.parse(stdout);
}

/** Bytes of a session, of a block, and of a session after a transfer. */
function leastOf(measured: readonly Measured[]): [number, number, number] {
  const least = (of: (one: Measured) => number) => Math.min(...measured.map(of));
  return [least((one) => one.freshBytes), least((one) => one.blockBytes), least((one) => one.afterBytes)];
}

function isWithin(measured: readonly Measured[]): boolean {
  const [freshBytes, blockBytes, afterBytes] = leastOf(measured);
  return freshBytes < MOST_FRESH_BYTES && blockBytes < MOST_BLOCK_BYTES && afterBytes < MOST_AFTER_BYTES;
}

t.test(
  'an idle session costs an exit under 4 kB, and 448 bytes for each reply block that it has brought',
  async (t) => {
    const measured: Measured[] = [];
    // What the process does beside adds to a figure, and takes nothing from it: the least of a few is what a session costs.
    do measured.push(await measure());
    while (measured.length < MOST_MEASURES && !isWithin(measured));
    t.comment(JSON.stringify(measured));
    const { sessions, keptBytes } = measured[0] as Measured;
    const [freshBytes, blockBytes, afterBytes] = leastOf(measured);
    t.ok(sessions > 3000);
    t.ok(freshBytes < MOST_FRESH_BYTES, `${freshBytes} bytes`);
    t.ok(blockBytes < MOST_BLOCK_BYTES, `${blockBytes} bytes a block`);
    t.ok(afterBytes < MOST_AFTER_BYTES, `${afterBytes} bytes after a transfer`);
    t.ok(keptBytes > MOST_FRESH_BYTES, `a session that keeps one packet is noticed: ${keptBytes} bytes`);
  },
);
