/**
 * `npm test`: checks format, lint and types, builds, runs all tests, and ends with one line for people and programs:
 * `N passed, N failed` (and `, N skipped`). It counts assertions; a step that fails as a whole counts as one. Unit,
 * property and integration tests run in one process per kind, since a process of its own for each file would take longer than
 * most files; two at a time. System tests, each a network of a dozen processes, run one at a time.
 * `npm test -- PATH...` runs only those files, each by itself, on the build that is there.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** For all tests of a kind together; a system test has as long for itself. */
const TIMEOUT_S = 240;

const tapBin = `${root}node_modules/tap/dist/esm/run.mjs`;
const tapClass = `${root}node_modules/@tapjs/test/test-built/dist/esm/index.js`;

/** The test files below `test/<kind>`. */
function testFiles(kind) {
  const folder = `test/${kind}`;
  if (!existsSync(root + folder)) return [];
  const entries = readdirSync(root + folder, { recursive: true, encoding: 'utf8' });
  return entries.filter((name) => name.endsWith('.test.ts')).map((name) => `${folder}/${name}`);
}

/** Writes a file that runs all test files of a kind in one process; its path. */
function together(kind) {
  const folder = '.tap/together';
  mkdirSync(root + folder, { recursive: true });
  const imports = testFiles(kind).map((file) => `import '../../${file}';\n`);
  writeFileSync(`${root}${folder}/${kind}.test.ts`, imports.join(''));
  return `${folder}/${kind}.test.ts`;
}

/** A fresh install has tap with its own TypeScript plugin; `.taprc` leaves that out, which takes one build. */
function buildTapIfNew() {
  if (existsSync(tapClass) && !/from ["']@tapjs.typescript["']/.test(readFileSync(tapClass, 'utf8'))) return true;
  const build = spawnSync(process.execPath, [tapBin, 'build'], { cwd: root, encoding: 'utf8' });
  if (build.status !== 0) process.stdout.write(`${build.stdout}${build.stderr}tap build failed\n`);
  return build.status === 0;
}

/**
 * Prints a TAP stream as it comes: a line per test file, and every failed assertion with its details. Parents of a failed
 * assertion fail too, with details that say nothing new; a line with deeper lines right before it is such a parent.
 */
class Report {
  counts = { pass: 0, fail: 0, skip: 0 };
  #deepest = 0;
  #detailsIndent = -1;
  #path = [];

  line(text) {
    const indent = text.search(/\S/);
    if (indent < 0) return;
    if (this.#detailsIndent >= 0) {
      process.stdout.write(`${text}\n`);
      if (indent === this.#detailsIndent && text.endsWith('...')) this.#detailsIndent = -1;
      return;
    }
    const named = /^\s*# Subtest: (.*)/.exec(text)?.[1];
    if (named !== undefined) this.#path[indent / 4] = named;
    const result = /^\s*(not )?ok \d+ - (.*)/.exec(text);
    if (result !== null) this.#result(indent, result[1] === undefined, result[2], text);
    const summary = /^# \{ total: .*\}/.exec(text)?.[0];
    if (summary !== undefined) this.#summary(summary);
    if (/^Bail out!/.test(text.trim())) process.stdout.write(`${text}\n`);
  }

  #result(indent, ok, name, text) {
    const parent = this.#deepest > indent;
    this.#deepest = indent;
    if (indent === 0) process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name.replace(/# time=(.*)/, '($1)')}\n`);
    if (ok || parent || / # (TODO|SKIP)/.test(text)) return;
    process.stdout.write(`\nnot ok: ${[...this.#path.slice(0, indent / 4), name].join(' > ')}\n`);
    this.#detailsIndent = indent + 2;
  }

  #summary(text) {
    for (const kind of ['pass', 'fail', 'skip']) {
      this.counts[kind] += Number(new RegExp(`\\b${kind}: (\\d+)`).exec(text)?.[1] ?? 0);
    }
  }
}

/** Runs files under tap; resolves with the counts. A run that failed without a failed assertion counts as one failure. */
function runTap(files, jobs) {
  const report = new Report();
  if (files.length === 0) return Promise.resolve(report.counts);
  return new Promise((resolve) => {
    const args = [tapBin, 'run', '--reporter=tap', `--jobs=${jobs}`, `--timeout=${TIMEOUT_S}`, ...files];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface({ input: child.stdout }).on('line', (line) => report.line(line));
    child.on('close', (code) => {
      const { counts } = report;
      if ((code !== 0 || counts.pass === 0) && counts.fail === 0) counts.fail = 1;
      resolve(counts);
    });
  });
}

/** Runs an npm script; false when it fails. */
function script(name) {
  process.stdout.write(`npm run ${name}\n`);
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  return spawnSync(npm, ['run', '--silent', name], { cwd: root, stdio: 'inherit' }).status === 0;
}

const wanted = process.argv.slice(2);
const all = wanted.length === 0;
const total = { pass: 0, fail: 0, skip: 0 };
if (all && !script('check')) total.fail += 1;
if ((!all || script('build')) && buildTapIfNew()) {
  const isNetwork = (file) => file.startsWith('test/system/') && !file.endsWith('/cli.test.ts');
  const files = all ? ['integration', 'unit', 'property'].map(together).concat(testFiles('system')) : wanted;
  for (const [group, jobs] of [
    [files.filter((file) => !isNetwork(file)), 2],
    [files.filter(isNetwork), 1],
  ]) {
    const counts = await runTap(group, jobs);
    for (const kind of Object.keys(total)) total[kind] += counts[kind];
  }
} else {
  total.fail += 1;
}
const skipped = total.skip > 0 ? `, ${total.skip} skipped` : '';
process.stdout.write(`\n${total.pass} passed, ${total.fail} failed${skipped}\n`);
process.exitCode = total.fail === 0 && total.pass > 0 ? 0 : 1;
