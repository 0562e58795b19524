/** The program `npm run bench`; a benchmark beside another commit: the oldest one that benchmarks are held against. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { hasCommit } from '../../bench/harness/build.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TYPESCRIPT = '--import=./test/support/typescript.mjs';
const BASE = '7f40e6a';
/** Those that start networks take minutes: `BENCH=mix,idle npm test -- test/system/bench.test.ts`, or `BENCH=all`. */
const NETWORKS = ['mix', 'e2e', 'page', 'latency', 'idle', 'overload'];
const asked = process.env.BENCH === 'all' ? NETWORKS : (process.env.BENCH ?? '').split(',').filter(Boolean);

const missing =
  !hasCommit(BASE) && `NO HISTORY HERE: a build of ${BASE} is NOT TESTED (git fetch --unshallow brings it)`;
if (missing) process.stderr.write(`${missing}\n`);

interface Line {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly commit?: string;
  readonly against?: number;
  readonly ratio?: number;
}

/** Runs a benchmark beside the base; its lines. */
function lines(name: string): { readonly status: number | null; readonly lines: Line[]; readonly said: string } {
  const args = [TYPESCRIPT, 'bench/main.ts', name, '--quick', '--json', '--against', BASE];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  return {
    status,
    lines: stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line),
    said: stderr,
  };
}

const workTrees = () => {
  const known = spawnSync('git', ['worktree', 'list'], { cwd: ROOT, encoding: 'utf8' }).stdout;
  return [...readdirSync(tmpdir()), ...known.split('\n')].filter((name) => name.includes('mixsocks-commit-')).sort();
};

for (const name of ['sphinx', ...asked]) {
  t.test(`${name}: every figure of ${BASE} stands beside ours, with their ratio`, { skip: missing }, async (t) => {
    const before = workTrees();
    const result = lines(name);
    t.equal(result.status, 0, result.said);
    const [limit, ...figures] = result.lines;
    t.match(limit, { name: 'limit.scalarmult' });
    t.ok(figures.length > 0);
    for (const one of figures) {
      t.match(one, { commit: BASE, limit: limit?.value }, one.name);
      t.ok(typeof one.value === 'number' && typeof one.against === 'number', `${one.name}: a value of each build`);
    }
    t.ok(figures.some(({ ratio = 0 }) => ratio > 0));
    t.same(workTrees(), before, 'no work tree is left');
    t.ok(existsSync(`${ROOT}node_modules/typescript`), 'our packages are still there');
  });
}

t.test('what is not a benchmark is refused in one line, with code 2', async (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [TYPESCRIPT, 'bench/main.ts', ...args], { cwd: ROOT, encoding: 'utf8' });
  const unknown = run('speed');
  t.equal(unknown.status, 2);
  t.equal(unknown.stderr, "error: unknown command 'speed'\n");
  const help = run('--help');
  t.equal(help.status, 0);
  for (const name of ['sphinx', 'mix', 'e2e', 'page', 'latency', 'idle', 'scale', 'overload']) {
    t.match(help.stdout, new RegExp(`^  ${name} `, 'm'));
  }
  const beside = run('e2e', '--beside', '/tmp');
  t.equal(beside.status, 2);
  t.match(beside.stderr, /Expected HOST:PORT of a SOCKS5 proxy/);
  const commit = run('sphinx', '--against', 'f00dfeed');
  t.equal(commit.status, 1);
  t.match(commit.stderr, /^bench: no commit f00dfeed here[^\n]*\n$/);
});
