/** The documents: links lead somewhere, and docs/LIMITS.md names tests and constants that there are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['', 'docs', 'examples', 'bench'];
const pages = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

const read = (page: string) => readFileSync(join(ROOT, page), 'utf8');

/** Without what stands in code, where a bracket means something else. */
const prose = (page: string) =>
  read(page)
    .replace(/```[\s\S]*?```/g, '')
    .replace(/`[^`\n]*`/g, '');

/** The anchors that the headings of a page get on GitHub. */
function anchorsOf(page: string): Set<string> {
  const headings = [
    ...read(page)
      .replace(/```[\s\S]*?```/g, '')
      .matchAll(/^#+ +(.*)$/gm),
  ].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

t.test('every relative link leads to a file, and to a heading where it names one', async (t) => {
  let links = 0;
  for (const page of pages) {
    for (const [, target = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
      t.ok(existsSync(join(ROOT, file)), `${page}: ${target}`);
      if (anchor !== undefined) t.ok(anchorsOf(file).has(anchor), `${page}: heading of ${target}`);
    }
  }
  t.ok(links > 10, `${links} links`);
});

/** Names that a section of LIMITS.md gives to tests. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  scenarios: 'simulation/session-scenarios',
  table: 'unit/session-table',
  parts: 'unit/session-parts',
  lives: 'property/session-transport',
  buffers: 'property/session-buffers',
};

/** The rows of the tables of LIMITS.md. */
const rows = read('docs/LIMITS.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| what '))
  .map((line) => line.slice(2, -2).split(' | '));

t.test('every bound has its five columns, and the tests it names are there', async (t) => {
  t.ok(rows.length > 100, `${rows.length} rows`);
  for (const row of rows) {
    const [what = '', , , , tests = ''] = row;
    if (row.length !== 5) t.fail(`${what}: ${row.length} columns`);
    let folder = '';
    for (const name of tests.replace(/\(.*\)/g, '').split(', ')) {
      const known =
        SHORT_NAMES[name.trim()] ??
        name
          .trim()
          .replace(/^test\//, '')
          .replace(/\.test\.ts$/, '');
      if (!/^[a-z/-]+$/.test(known) || known === '-') continue; // a word instead of a test
      if (known.includes('/')) folder = dirname(known);
      const file = `test/${known.includes('/') ? known : `${folder}/${known}`}.test.ts`;
      t.ok(existsSync(join(ROOT, file)), `${what}: ${file}`);
    }
  }
});

/** Paths of all product files. */
const sources = ['lib', 'cli', 'proxy', 'gateway', 'mixnode', 'directory', 'client', 'network-requester'].flatMap(
  (folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `/${folder}/${name.replaceAll('\\', '/')}`),
);

t.test('the files that a bound stands in are there', async (t) => {
  for (const [what = '', , where = ''] of rows) {
    for (const [path] of where.matchAll(/(?<![\w/.*-])[\w-][\w/.-]*\.ts\b/g)) {
      t.ok(
        sources.some((source) => source.endsWith(`/${path}`)),
        `${what}: ${path}`,
      );
    }
  }
});

t.test('the constants that a bound names are there', async (t) => {
  const code = sources.map((path) => read(path)).join('\n');
  for (const [what = '', , where = ''] of rows) {
    for (const [, name = ''] of where.matchAll(/`([A-Za-z_][\w.]*)`/g)) {
      const last = name.split('.').at(-1) ?? '';
      t.ok(new RegExp(`\\b${last}\\b`).test(code), `${what}: ${name}`);
    }
  }
});
