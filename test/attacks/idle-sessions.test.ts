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

t.test(
  'an idle session costs an exit under 4 kB, and 448 bytes for each reply block that it has brought',
  async (t) => {
    const { stdout } = await promisify(execFile)(process.execPath, [MEASURE]);
    const { sessions, freshBytes, blockBytes, afterBytes, keptBytes } = JSON.parse(stdout) as Record<string, number>;
    t.comment(stdout);
    t.ok((sessions ?? 0) > 3000);
    t.ok((freshBytes ?? Infinity) < MOST_FRESH_BYTES, `${freshBytes} bytes`);
    t.ok((blockBytes ?? Infinity) < MOST_BLOCK_BYTES, `${blockBytes} bytes a block`);
    t.ok((afterBytes ?? Infinity) < MOST_AFTER_BYTES, `${afterBytes} bytes after a transfer`);
    t.ok((keptBytes ?? 0) > MOST_FRESH_BYTES, `a session that keeps one packet is noticed: ${keptBytes} bytes`);
  },
);
