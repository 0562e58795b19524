/**
 * Who may import whom (lint/import-rules.json). The linter's rules are made from the same statement, but a lint pattern that
 * silently matches nothing looks like a rule that is kept; so the imports are read here once more, and the reader is tested.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { biomeRules, importableParts } from '../../lint/biome-rules.mjs';

const root = join(import.meta.dirname, '../..');
const rules = JSON.parse(readFileSync(join(root, 'lint/import-rules.json'), 'utf8')) as ImportRules;
const PARTS = rules.layers.flat();
const LIB_PARTS = PARTS.filter((part) => part.startsWith('lib/'));
const ROLES = ['proxy', 'network-requester', 'mixnode', 'gateway', 'directory'];
const IO_MODULES = /^(node:)?(net|tls|dns|dns\/promises|dgram|http|https|http2|timers|timers\/promises)$|^undici$/;

/** lint/import-rules.json */
interface ImportRules {
  readonly layers: readonly (readonly string[])[];
  readonly sansIo: readonly string[];
  readonly shells: readonly string[];
  readonly ownClock: readonly string[];
  readonly browser: string;
  readonly proxyNetNames: readonly string[];
  readonly proxyHttpNames: readonly string[];
}

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Imported value names; `*` or `default` for the whole module. */
  readonly names: readonly string[];
}

/** Every import, re-export, dynamic import and worker URL of a source text. */
function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const code = source.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  for (const match of code.matchAll(/^\s*(?:import|export)\s+(type\s+)?([^'";]*?)\s*from\s*['"]([^'"]+)['"]/gm)) {
    const clause = match[2] ?? '';
    const braces = /\{([^}]*)\}/.exec(clause)?.[1]?.split(',') ?? [];
    const named = braces.map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith('type '));
    const rest = clause
      .replace(/\{[^}]*\}/, '')
      .replace(',', '')
      .trim();
    const names = named.map((name) => name.split(/\s+as\s+/)[0] ?? name);
    if (rest !== '') names.push(rest.startsWith('*') ? '*' : 'default');
    found.push({ specifier: match[3] ?? '', typeOnly: match[1] !== undefined || names.length === 0, names });
  }
  const whole = [/^\s*import\s*['"]([^'"]+)['"]/gm, /\b(?:import|require)\(\s*['"]([^'"]+)['"]/g];
  whole.push(/new URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g);
  for (const pattern of whole) {
    for (const match of code.matchAll(pattern)) {
      found.push({ specifier: match[1] ?? '', typeOnly: false, names: ['*'] });
    }
  }
  return found;
}

/** The part of the tree a file belongs to: an entry of the rules. */
function partOf(path: string): string {
  return PARTS.find((part) => path === part || path.startsWith(`${part}/`)) ?? path;
}

function mayImport(from: string, to: string): boolean {
  return from === to || from === 'cli' || importableParts(rules, from).includes(to);
}

function doesIo(path: string, { specifier, names, typeOnly }: Import): boolean {
  if (typeOnly || !IO_MODULES.test(specifier)) return false;
  const part = partOf(path);
  if (part === 'proxy') {
    const allowed = { 'node:net': rules.proxyNetNames, 'node:http': rules.proxyHttpNames }[specifier] ?? [];
    return names.some((name) => !allowed.includes(name));
  }
  return rules.sansIo.includes(part) && !rules.shells.includes(path);
}

/** What is wrong with the imports and globals of one file; empty when all is well. */
function faultsOf(path: string, source: string): string[] {
  const faults: string[] = [];
  const inBrowser = path.startsWith(`${rules.browser}/`);
  for (const found of importsOf(source)) {
    if (doesIo(path, found)) faults.push(`${path} does I/O: ${found.specifier}`);
    if (!found.specifier.startsWith('.')) continue;
    const target = partOf(posix.join(posix.dirname(path), found.specifier));
    if (!mayImport(partOf(path), target)) faults.push(`${path} imports ${found.specifier}`);
    if (inBrowser && !found.typeOnly && !/^\.\/[^/]+$/.test(found.specifier)) {
      faults.push(`${path} imports ${found.specifier}, which the page does not serve`);
    }
  }
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  if (/\bMath\.random\b/.test(code)) faults.push(`${path} draws from Math.random`);
  const clockOwner = inBrowser || rules.ownClock.some((owner) => path === owner || path.startsWith(`${owner}/`));
  if (
    !clockOwner &&
    /(?<![.\w])(setTimeout|setInterval|setImmediate|Date\.now|new Date|performance\.now)\b(?!\(\w+: )/.test(code)
  ) {
    faults.push(`${path} has a clock of its own`);
  }
  if (
    partOf(path) === 'proxy' &&
    !inBrowser &&
    /(?<![.\w])(fetch|WebSocket|net\.connect|createConnection)\s*\(/.test(code)
  ) {
    faults.push(`${path} opens a socket`);
  }
  return faults;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs|js)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

t.test('every file keeps to its layer', (t) => {
  const files = ['index.ts', ...['lib', 'client', 'cli', ...ROLES].flatMap(sourceFiles)];
  for (const path of files) t.ok(PARTS.includes(partOf(path)), `${path} belongs to a part`);
  t.ok(files.includes('lib/core/clock.ts') && files.length > 9, 'the tree was read');
  for (const path of files) t.strictSame(faultsOf(path, readFileSync(join(root, path), 'utf8')), [], path);
  t.end();
});

t.test('benchmarks are no tests, and the product is neither', (t) => {
  const importsFrom = (folder: string, target: string) =>
    sourceFiles(folder).filter((path) =>
      importsOf(readFileSync(join(root, path), 'utf8')).some(({ specifier }) =>
        posix.join(posix.dirname(path), specifier).startsWith(`${target}/`),
      ),
    );
  t.strictSame(importsFrom('bench', 'test'), []);
  for (const part of ['lib', 'client', 'cli', ...ROLES]) {
    t.strictSame([...importsFrom(part, 'bench'), ...importsFrom(part, 'test')], [], part);
  }
  t.ok(importsFrom('test', 'bench').length > 0, 'imports are found where there are some');
  t.end();
});

t.test('the check catches what it is there for', (t) => {
  const faulty: readonly (readonly [string, string])[] = [
    ['lib/crypto/a.ts', `import { Sphinx } from '../sphinx/index.ts';`],
    ['lib/sphinx/a.ts', `import type { Link } from '../link/index.ts';`],
    ['lib/directory/a.ts', `import { verify } from '../mixing/index.ts';`],
    ['lib/transport/wire/a.ts', `import type { Topology } from '../../directory/index.ts';`],
    ['lib/link/a.ts', `import {\n  DelayQueue,\n} from '../mixing/index.ts';`],
    ['lib/endpoint/a.ts', `export * from '../session/index.ts';`],
    ['lib/session/a.ts', `import { startProxy } from '../../proxy/index.ts';`],
    ['lib/session/a.ts', `import { ProxyMixnet } from '../access/mixnet.ts';`],
    ['client/a.ts', `import type { ProxyConfig } from '../proxy/config.ts';`],
    ['lib/core/bytes.ts', `import { createCrypto } from '../crypto/index.ts';`],
    ['mixnode/index.ts', `import { startGateway } from '../gateway/index.ts';`],
    ['gateway/index.ts', `const role = await import('../cli/main.ts');`],
    ['mixnode/index.ts', `new Worker(new URL('../gateway/thread.js', import.meta.url));`],
    ['directory/deep/a.ts', `import '../../proxy/index.ts';`],
    ['lib/session/a.ts', `import net from 'node:net';`],
    ['lib/directory/documents.ts', `import { request } from 'undici';`],
    ['lib/session/a.ts', `const timer = setTimeout(tick, 10);`],
    ['mixnode/a.ts', `const now = Date.now();`],
    ['lib/endpoint/a.ts', `const roll = Math.random();`],
    ['proxy/a.ts', `import { lookup } from 'node:dns/promises';`],
    ['proxy/a.ts', `import net, { createServer } from 'node:net';`],
    ['proxy/a.ts', `import { connect as createServer } from 'node:net';`],
    ['proxy/a.ts', `import { request } from 'node:http';`],
    ['proxy/a.ts', `await fetch('http://example.org/');`],
    ['client/a.ts', `import { runProgram } from '../cli/program.ts';`],
    ['client/a.ts', `import { startGateway } from '../gateway/index.ts';`],
    ['index.ts', `export { startProxy } from './proxy/index.ts';`],
    ['proxy/a.ts', `import { MixnetClient } from '../client/client.ts';`],
    ['proxy/status/page/a.ts', `await fetch('http://example.org/');`],
    ['proxy/status/page/browser/a.ts', `import { VERSION } from '../../../../lib/core/version.ts';`],
  ];
  for (const [path, source] of faulty) t.equal(faultsOf(path, source).length, 1, `${path}: ${source}`);
  const fine: readonly (readonly [string, string])[] = [
    ['lib/mixing/a.ts', `import type { Topology } from '../directory/index.ts';`],
    ['lib/mixing/a.ts', `import { type Topology } from '../directory/index.ts';`],
    ['gateway/a.ts', `import { Topology } from '../lib/directory/index.ts';\nimport x from './config.ts';`],
    ['directory/a.ts', `import { sign } from '../lib/directory/index.ts';`],
    ['proxy/a.ts', `import { createServer, type Socket } from 'node:net';`],
    ['proxy/a.ts', `import { createServer, type ServerResponse } from 'node:http';`],
    ['lib/link/a.ts', `import tls from 'node:tls';\nsetTimeout(dial, 1);`],
    ['network-requester/a.ts', `import { connect } from 'node:net';\nsocket.setTimeout(5);`],
    ['lib/sphinx/a.ts', `// as import x from '../link/index.ts'; Date.now()`],
    ['client/a.ts', `import { connect } from 'node:tls';\nimport { ProxyMixnet } from '../lib/access/mixnet.ts';`],
    ['index.ts', `export { MixnetClient } from './client/client.ts';`],
    [
      'proxy/status/page/browser/a.ts',
      `import type { Status } from '../../../../lib/access/status/status.ts';\nsetTimeout(() => fetch('/'), 1);`,
    ],
    ['cli/main.ts', `import { startGateway } from '../gateway/index.ts';`],
  ];
  for (const [path, source] of fine) t.strictSame(faultsOf(path, source), [], `${path}: ${source}`);
  t.end();
});

/** Lints `sources` under this repository's configuration; the paths of the files with a restricted import or global. */
function lintedFaults(t: Test, sources: Readonly<Record<string, string>>): Set<string> {
  const config = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as Record<string, unknown>;
  const imports = readFileSync(join(root, 'biome.imports.json'), 'utf8');
  const own = { 'biome.json': JSON.stringify({ ...config, vcs: { enabled: false } }), 'biome.imports.json': imports };
  const tree = { ...own, ...sources };
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'mixsocks-lint-')));
  t.teardown(() => rmSync(dir, { recursive: true }));
  for (const [path, source] of Object.entries(tree)) {
    mkdirSync(join(dir, dirname(path)), { recursive: true });
    writeFileSync(join(dir, path), source);
  }
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--reporter=github', '--max-diagnostics=none', '.'];
  const run = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' });
  const found = run.stdout.matchAll(/title=lint\/style\/noRestricted(?:Imports|Globals),file=([^,]+),/g);
  return new Set([...found].map((match) => relative(dir, resolve(dir, match[1] ?? ''))));
}

t.test('the rules of the linter are those of the one statement', (t) => {
  t.equal(readFileSync(join(root, 'biome.imports.json'), 'utf8'), biomeRules(rules), 'npm run lint:rules makes them');
  t.end();
});

t.test('the linter catches one of each in every part', (t) => {
  const good: Record<string, string> = {
    'gateway/good.ts': `export { good } from '../lib/directory/index.ts';\n`,
    'lib/link/good.ts': `import net from 'node:net';\nsetTimeout(net.connect, 1);\n`,
    'client/good.ts': `export { connect } from 'node:tls';\nexport { good } from '../lib/access/mixnet.ts';\n`,
    'proxy/good.ts': `import { createServer } from 'node:net';\ncreateServer();\n`,
    'lib/directory/client/http-transport.ts': `export { request } from 'undici';\n`,
  };
  const bad: Record<string, string> = {
    'lib/core/bad.ts': `export { bad } from '../session/index.ts';\n`,
    'proxy/http.ts': `export { request } from 'node:http';\n`,
    'proxy/net.ts': `export { connect } from 'node:net';\n`,
    'proxy/dns.ts': `export { lookup } from 'node:dns/promises';\n`,
    'client/role.ts': `export { bad } from '../proxy/config.ts';\n`,
    'client/cli.ts': `export { bad } from '../cli/program.ts';\n`,
    'client/clock.ts': 'export const now = Date.now();\n',
    'index.ts': `export { bad } from './cli/program.ts';\n`,
    'proxy/fetch.ts': `export const page = fetch('http://example.org/');\n`,
    'lib/mixing/type.ts': `export type { Bad } from '../session/index.ts';\n`,
    'lib/transport/wire/deep.ts': `export type { Bad } from '../../directory/index.ts';\n`,
    'proxy/front/handshake/deep.ts': `export { bad } from '../../../gateway/index.ts';\n`,
  };
  for (const part of LIB_PARTS) bad[`${part}/role.ts`] = `export { bad } from '../../proxy/index.ts';\n`;
  for (const part of rules.sansIo) {
    bad[`${part}/net.ts`] = `export { connect } from 'node:net';\n`;
    bad[`${part}/dns.ts`] = `export { lookup } from 'node:dns/promises';\n`;
  }
  for (const role of ROLES) {
    bad[`${role}/role.ts`] = `export { bad } from '../${role === 'proxy' ? 'gateway' : 'proxy'}/index.ts';\n`;
    bad[`${role}/clock.ts`] = 'export const now = Date.now();\n';
  }
  const found = lintedFaults(t, { ...good, ...bad });
  for (const path of Object.keys(bad)) t.ok(found.has(path), path);
  for (const path of Object.keys(good)) t.notOk(found.has(path), path);
  t.end();
});

t.test('no test file sets a time limit or an end for the files that share its process', (t) => {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  const tests = files.filter((name) => name.endsWith('.test.ts') && !name.startsWith('system'));
  t.ok(tests.length > 100);
  const atRoot = /^t\.(setTimeout|teardown|bailout|end)\(/m;
  t.same(
    tests.filter((name) => atRoot.test(readFileSync(join(root, 'test', name), 'utf8'))),
    [],
  );
  t.end();
});
