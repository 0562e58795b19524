/** How much memory V8 takes for new objects, in processes of their own: flags of V8 are for a whole process. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { MOST_YOUNG_BYTES, MOST_YOUNG_BYTES_LARGE } from '../../lib/runtime/young-generation.ts';

const moduleUrl = new URL('../../dist/lib/runtime/young-generation.js', import.meta.url).href;

/** Makes objects of which many live for a while, reviewing every now and then; prints the most that the space had. */
const PROGRAM = `
  import { once } from 'node:events';
  import { Worker } from 'node:worker_threads';
  import { boundYoungGeneration, fitYoungGeneration, youngBytes } from '${moduleUrl}';
  let review = () => {};
  const clock = { after: (_ms, run) => { review = run; return { cancel() { review = () => {}; } }; } };
  if (process.argv[1] === 'large packets') fitYoungGeneration(32768);
  const bound = process.argv[1] === 'free' ? undefined : boundYoungGeneration(clock);
  const kept = [];
  let most = 0;
  function makeObjects() {
    for (let n = 0; n < 3e6; n++) {
      kept[n % 20000] = { a: [n], b: { n } };
      if (n % 1000 === 0) { review(); most = Math.max(most, youngBytes()); }
    }
  }
  makeObjects();
  if (process.argv[1] === 'with-thread') {
    await once(new Worker('', { eval: true }), 'exit');
    makeObjects();
  }
  console.log(JSON.stringify({ most, bounds: bound !== undefined }));
`;

async function mostBytes(mode: string, flags: readonly string[] = []): Promise<{ most: number; bounds: boolean }> {
  const args = [...flags, '--input-type=module', '--eval', PROGRAM, '--', mode];
  const { NODE_OPTIONS: _own, ...env } = process.env;
  return JSON.parse((await promisify(execFile)(process.execPath, args, { env })).stdout);
}

t.test(
  'the memory for new objects grows to its bound and one step further at most; without the bound it does',
  async (t) => {
    const [bounded, free] = await Promise.all([mostBytes('bounded'), mostBytes('free')]);
    t.ok(free.most > 2 * MOST_YOUNG_BYTES, `${free.most} bytes without`);
    t.ok(bounded.most <= 2 * MOST_YOUNG_BYTES, `${bounded.most} bytes with, one step between two reviews included`);
    t.ok(bounded.most >= MOST_YOUNG_BYTES / 4, `${bounded.most} bytes: it may grow that far`);
  },
);

t.test('the bound holds after a thread has started, too, but for one step before the next review', async (t) => {
  const { most } = await mostBytes('with-thread');
  t.ok(most <= 2 * MOST_YOUNG_BYTES, `${most} bytes`);
});

t.test('where packets are large it is smaller: what holds their bytes is collected sooner', async (t) => {
  const { most } = await mostBytes('large packets');
  t.ok(most <= 2 * MOST_YOUNG_BYTES_LARGE, `${most} bytes`);
  t.ok(2 * MOST_YOUNG_BYTES_LARGE < MOST_YOUNG_BYTES, 'with the other bound it would be more');
});

t.test('a bound that node got at its start is left alone', async (t) => {
  const given = await mostBytes('bounded', ['--max-semi-space-size=16']);
  t.equal(given.bounds, false);
  t.ok(given.most > 2 * MOST_YOUNG_BYTES, `${given.most} bytes`);
});
