/**
 * A process that measures one build once, so that neither compiler nor heap remembers the other: ROOT and `quick` or `full`
 * as arguments, the figures as JSON on standard output, progress on standard error.
 * @module
 */
import { join } from 'node:path';
import { FULL, QUICK } from '../harness/cpu-time.ts';
import type { Figure } from '../harness/figure.ts';
import { sphinxModules } from '../harness/modules.ts';
import { type Backend, measureSphinx } from './measure.ts';

const [, , root = '', effort] = process.argv;
const modules = await sphinxModules({ name: root, root, main: join(root, 'dist/cli/main.js') });
const quick = effort === 'quick';
const backends: readonly Backend[] = quick ? ['native'] : ['native', 'without-libsodium', 'noble'];
const sizes = quick ? [2048] : [2048, 32_768];
const figures: Figure[] = [];
for (const backend of backends) {
  for (const size of sizes) {
    process.stderr.write(`sphinx: ${backend}, packets of ${size} bytes\n`);
    figures.push(...(await measureSphinx(modules, backend, size, quick ? QUICK : FULL)));
  }
}
process.stdout.write(JSON.stringify(figures));
