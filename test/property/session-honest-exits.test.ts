import t from 'tap';
import { HONEST, honestRun } from '../support/sim/honest-exits.ts';

/** Runs of each; `SEEDS=1000` for the figure in docs/ATTACKS.md. */
const SEEDS = Number(process.env.SEEDS ?? 3);

for (const name of Object.keys(HONEST)) {
  t.test(`an honest exit is not accused: ${name}`, async (t) => {
    const accused: number[] = [];
    for (let seed = 0; seed < SEEDS; seed++) if (honestRun(name, seed).accusedMs !== undefined) accused.push(seed);
    t.strictSame(accused, [], `of ${SEEDS} runs`);
  });
}
