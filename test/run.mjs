/**
 * `npm test`: builds, then runs processes of tests, two at a time and the longest first. With three at a time on two processors it was hardly
 * sooner done, and tests met time limits. Tests of a kind share a process, since a process of its own for each file would take longer than most
 * files.
 * The last line is for people and programs: `N passed, N failed` (and `, N skipped`). It counts assertions; a step that fails
 * as a whole counts as one.
 *
 * `npm test -- NAME...` runs only those kinds (unit, simulation, attacks, property, integration), each as a whole, and those files, each by
 * itself, on the build that is there.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Ends what hangs: all tests of a kind together, or one system test. A busy machine is no reason. */
const TIMEOUT_S = 900;
/** A process that is past its time says first where it hangs. */
const KILL_AFTER_MS = (TIMEOUT_S + 10) * 1000;
/** Two processors are busy then, even while some of them wait. */
const AT_ONCE = 2;
/** The kinds beside the system tests. */
const KINDS = ['integration', 'simulation', 'property', 'attacks', 'unit'];
/** Files that wait for the browser, which takes minutes where it has to be installed: never together with others. */
const WITH_BROWSER = [
  'test/integration/page-browser.test.ts',
  'test/system/front.test.ts',
  'test/attacks/web-page-probes.test.ts',
  'test/system/browser.test.ts',
];
/** Seconds that the long ones take; what is not here takes those of its kind, or 0.3. They only decide what is started first. */
const SECONDS = {
  'test/system/localnet.test.ts': 90,
  'test/system/browser.test.ts': 41,
  'test/system/run.test.ts': 40,
  'test/system/front.test.ts': 35,
  'test/system/package.test.ts': 33,
  'test/system/memory.test.ts': 31,
  'test/system/cli.test.ts': 30,
  'test/system/private-network.test.ts': 30,
  'test/system/path-health.test.ts': 25,
  'test/system/wire.test.ts': 24,
  'test/system/hosting.test.ts': 21,
  'test/system/bench.test.ts': 18,
  'test/system/run-sealed.test.ts': 17,
  'test/system/join-tokens.test.ts': 16,
  'test/system/transport-faults.test.ts': 15,
  'test/system/status-watch.test.ts': 5,
  'test/system/engines.test.ts': 5,
  'test/system/key-exchange.test.ts': 4,
  'test/system/service-manager.test.ts': 4,
  'test/integration/directory-loss-marks.test.ts': 8,
  'test/integration/folder-lock.test.ts': 8,
  'test/integration/thread-failures.test.ts': 7,
  'test/attacks/web-page-probes.test.ts': 17,
  'test/integration/page-browser.test.ts': 15,
  'test/integration/client-lossy-gateway.test.ts': 4,
  'test/integration/directory-epochs.test.ts': 4,
  'test/integration/directory-network.test.ts': 4,
  'test/integration/mixnode-turnover.test.ts': 4,
  'test/integration/proxy-egress.test.ts': 4,
  'test/integration/proxy-session.test.ts': 4,
  'test/integration/library-agent.test.ts': 3,
  'test/integration/link-key-exchange.test.ts': 2,
  'test/integration/link-client.test.ts': 3,
  'test/integration/mixnode-path.test.ts': 3,
  'test/integration/resets.test.ts': 3,
  'test/attacks/exit-capacity.test.ts': 17,
  'test/attacks/consensus-difference.test.ts': 2,
  'test/property/health-blame.test.ts': 9,
  'test/property/directory-voting.test.ts': 5,
  'test/property/session-honest-exits.test.ts': 4,
  'test/property/directory-voting-versions.test.ts': 3,
  'test/property/session-transport.test.ts': 4,
  'test/property/session-parked.test.ts': 4,
  'test/property/session-resets.test.ts': 3,
  'test/property/crypto-differential.test.ts': 2,
  'test/property/directory-documents.test.ts': 2,
  'test/property/sphinx-travel.test.ts': 2,
  'test/simulation/session-scenarios.test.ts': 5,
  'test/simulation/session-delay-law.test.ts': 6,
  'test/simulation/session-hub.test.ts': 6,
  'test/simulation/session-identities.test.ts': 4,
  'test/simulation/directory-loss-marks.test.ts': 3,
  'test/simulation/health-alarm.test.ts': 2,
  'test/simulation/session-datagrams.test.ts': 2,
  'test/simulation/session-ended-ids.test.ts': 1,
  'test/simulation/session-reply-excess.test.ts': 2,
  'test/simulation/anonymity-simulator.test.ts': 2,
  'test/simulation/session-delivery.test.ts': 2,
  'test/simulation/session-windows.test.ts': 2,
  'test/simulation/session-turns.test.ts': 2,
  'test/simulation/health-exclusion.test.ts': 1,
  'test/simulation/node-overload.test.ts': 1,
  'test/unit/sphinx-vectors.test.ts': 3,
  'test/unit/protocol-vectors.test.ts': 2,
  'test/unit/directory-members.test.ts': 1,
  'test/unit/directory-voting-shell.test.ts': 3,
  'test/unit/session-flow.test.ts': 2,
  'test/unit/probe-statistics.test.ts': 1,
  'test/unit/crypto-select.test.ts': 1,
  'test/unit/guard-sample.test.ts': 1,
  'test/unit/http.test.ts': 1,
  'test/unit/link-key-exchange.test.ts': 1,
  'test/unit/mixing-key-ring.test.ts': 1,
  'test/unit/session-silent-exit.test.ts': 1,
  'test/unit/layers.test.ts': 1,
  'test/unit/requester-hub.test.ts': 1,
};
const SHORT_SECONDS = { attacks: 5, integration: 3 };

/** Faster than tsx where functions are made often: see there. */
const typescript = new URL('support/typescript.mjs', import.meta.url).href;
const tapBin = `${root}node_modules/tap/dist/esm/run.mjs`;
const tapClass = `${root}node_modules/@tapjs/test/test-built/dist/esm/index.js`;

/** The test files below `test/<kind>`. */
function testFiles(kind) {
  const folder = `test/${kind}`;
  if (!existsSync(root + folder)) return [];
  const entries = readdirSync(root + folder, { recursive: true, encoding: 'utf8' });
  return entries.filter((name) => name.endsWith('.test.ts')).map((name) => `${folder}/${name}`);
}

const secondsOf = (file) => SECONDS[file] ?? SHORT_SECONDS[file.split('/')[1]] ?? 0.3;

/** Divides the tests of a kind among `count` processes that take about the same time; a job for each. */
function kindJobs(kind, count) {
  const files = testFiles(kind).filter((file) => !WITH_BROWSER.includes(file));
  const parts = Array.from({ length: count }, () => ({ files: [], seconds: 0 }));
  for (const file of files.sort((a, b) => secondsOf(b) - secondsOf(a))) {
    const shortest = parts.reduce((least, part) => (part.seconds < least.seconds ? part : least));
    shortest.files.push(file);
    shortest.seconds += secondsOf(file);
  }
  const folder = '.tap/together';
  mkdirSync(root + folder, { recursive: true });
  const used = parts.filter(({ files }) => files.length > 0);
  const jobs = used.map(({ files, seconds }, i) => {
    const name = used.length === 1 ? kind : `${kind} ${i + 1}`;
    const path = `${folder}/${name.replace(' ', '-')}.test.ts`;
    writeFileSync(root + path, files.map((file) => `import '../../${file}';\n`).join(''));
    return { name, seconds, run: () => runTests(name, path) };
  });
  return [
    ...jobs,
    ...testFiles(kind)
      .filter((file) => WITH_BROWSER.includes(file))
      .map(fileJob),
  ];
}

function fileJob(file) {
  return {
    name: file,
    seconds: secondsOf(file),
    browser: WITH_BROWSER.includes(file),
    run: () => runTests(file, file),
  };
}

/** A fresh install has tap with its own TypeScript plugin; `.taprc` leaves that out, which takes one build. */
function buildTapIfNew() {
  if (existsSync(tapClass) && !/from ["']@tapjs.typescript["']/.test(readFileSync(tapClass, 'utf8'))) return true;
  const build = spawnSync(process.execPath, [tapBin, 'build'], { cwd: root, encoding: 'utf8' });
  if (build.status !== 0) process.stdout.write(`${build.stdout}${build.stderr}tap build failed\n`);
  return build.status === 0;
}

/**
 * Reads the TAP stream of a process and prints every failed assertion with its details, as a whole, since two streams come at
 * once. Parents of a failed assertion fail too, with details that say nothing new; a line with deeper
 * lines right before it is such a parent.
 */
class Report {
  counts = { pass: 0, fail: 0, skip: 0 };
  #deepest = 0;
  #detailsIndent = -1;
  #details = '';
  #path = [];

  line(text) {
    const indent = text.search(/\S/);
    if (indent < 0) return;
    if (this.#detailsIndent >= 0) {
      this.#details += `${text}\n`;
      if (indent === this.#detailsIndent && text.endsWith('...')) this.end();
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

  /** Prints what was kept. */
  end() {
    process.stdout.write(this.#details);
    this.#details = '';
    this.#detailsIndent = -1;
  }

  #result(indent, ok, name, text) {
    const parent = this.#deepest > indent;
    this.#deepest = indent;
    if (ok || parent || / # (TODO|SKIP)/.test(text)) return;
    this.#details = `\nnot ok: ${[...this.#path.slice(0, indent / 4), name].join(' > ')}\n`;
    this.#detailsIndent = indent + 2;
  }

  #summary(text) {
    for (const kind of ['pass', 'fail', 'skip']) {
      this.counts[kind] += Number(new RegExp(`\\b${kind}: (\\d+)`).exec(text)?.[1] ?? 0);
    }
  }
}

/**
 * Runs a test file in a process of its own, without tap's runner: its hooks would slow the start of every node process that the
 * tests start. Resolves with the counts. A process that failed without a failed assertion counts as one failure.
 */
function runTests(name, file) {
  const startMs = performance.now();
  const report = new Report();
  const child = spawn(process.execPath, [`--import=${typescript}`, file], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TAP_TIMEOUT: String(TIMEOUT_S) },
  });
  const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  createInterface({ input: child.stdout }).on('line', (line) => report.line(line));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(killer);
      report.end();
      const { counts } = report;
      if ((code !== 0 || counts.pass + counts.skip === 0) && counts.fail === 0) {
        counts.fail = 1;
        process.stdout.write(`\n${name} ended with ${signal ?? `code ${code}`}\n`);
      }
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      process.stdout.write(`${counts.fail === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n`);
      resolve(counts);
    });
  });
}

/** Runs an npm script; resolves with false when it fails. */
function script(name) {
  process.stdout.write(`npm run ${name}\n`);
  // through a shell: on Windows npm is a batch file, which node starts in no other way
  const child = spawn(`npm run --silent ${name}`, { cwd: root, stdio: 'inherit', shell: true });
  return new Promise((resolve) => child.on('close', (code) => resolve(code === 0)));
}

/** Resolves when the browser is there, or cannot be had. */
function installBrowser() {
  const child = spawn(process.execPath, ['--import=tsx', 'test/support/install-browser.ts'], {
    cwd: root,
    stdio: 'inherit',
  });
  return new Promise((resolve) => child.on('close', resolve));
}

const FAILED = { pass: 0, fail: 1, skip: 0 };
const NOTHING = { pass: 0, fail: 0, skip: 0 };

function scriptJob(name, seconds) {
  return { name, seconds, run: async () => ((await script(name)) ? NOTHING : FAILED) };
}

/** Sums the counts of `jobs`. Whatever fits is started, the longest first. */
async function runJobs(jobs) {
  const total = { ...NOTHING };
  const left = jobs.sort((a, b) => b.seconds - a.seconds);
  const running = new Map();
  let browser = !left.some((job) => job.browser);
  const installed = browser ? undefined : installBrowser();
  installed?.then(() => {
    browser = true;
  });
  const fits = (job) => running.size < AT_ONCE && (!job.browser || browser);
  const start = async (job) => {
    const counts = await job.run();
    for (const kind of Object.keys(total)) total[kind] += counts[kind];
    running.delete(job);
  };
  while (left.length > 0 || running.size > 0) {
    const job = left.find(fits);
    if (job === undefined) {
      await Promise.race([...running.values(), ...(browser ? [] : [installed])]);
      continue;
    }
    left.splice(left.indexOf(job), 1);
    running.set(job, start(job));
  }
  return total;
}

function jobsFor(names) {
  const parts = names.some((name) => name.startsWith('test/system/')) ? 1 : 2;
  return names.flatMap((name) => (KINDS.includes(name) ? kindJobs(name, parts) : fileJob(name)));
}

async function run(names) {
  if (!buildTapIfNew()) return FAILED;
  if (names.length > 0) return runJobs(jobsFor(names));
  if (!(await script('build'))) return FAILED;
  return runJobs([scriptJob('check', 15), ...jobsFor([...testFiles('system'), ...KINDS])]);
}

const total = await run(process.argv.slice(2));
const skipped = total.skip > 0 ? `, ${total.skip} skipped` : '';
process.stdout.write(`\n${total.pass} passed, ${total.fail} failed${skipped}\n`);
process.exitCode = total.fail === 0 && total.pass + total.skip > 0 ? 0 : 1;
