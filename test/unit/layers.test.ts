/**
 * Who may import whom (docs/ARCHITECTURE.md). The linter has the same rules, but a lint pattern that silently matches
 * nothing looks like a rule that is kept; so the imports are read here once more, and the reader is tested on sins.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative, resolve } from 'node:path';
import t, { type Test } from 'tap';

const root = join(import.meta.dirname, '../..');
const ROLES = ['proxy', 'network-requester', 'mixnode', 'gateway', 'directory'];

/** What each part may import, besides itself and the small shared files in `lib/`. `type:` allows types only. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: ['type:lib/crypto'],
  'lib/crypto': [],
  'lib/sphinx': ['lib/crypto'],
  'lib/mixing': ['lib/crypto', 'lib/sphinx', 'type:lib/directory'],
  'lib/link': ['lib/crypto', 'lib/sphinx', 'type:lib/mixing', 'type:lib/directory'],
  'lib/directory': ['lib/crypto', 'lib/sphinx', 'type:lib/link', 'type:lib/mixing'],
  'lib/client': ['lib/crypto', 'lib/sphinx', 'lib/mixing', 'lib/link', 'lib/directory'],
  // Application stream ↔ session stream, for both fronts: needs the session's interface and nothing below it.
  'lib/relay': ['type:lib/session'],
  // The shell that mixnode and gateway share.
  'lib/node': ['lib/crypto', 'lib/sphinx', 'lib/mixing', 'lib/link', 'lib/directory'],
  'lib/session': ['lib/crypto', 'lib/sphinx', 'lib/mixing', 'lib/link', 'lib/directory', 'lib/client'],
};
/** The library's parts: a proxy without its ports, inside a program. Nothing of the command line, of no other role. */
const LIBRARY_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  library: ['proxy'],
  'index.ts': ['library', 'type:proxy'],
};
const LIB_PARTS = Object.keys(MAY_IMPORT).filter((part) => part !== 'lib');

/** Parts of protocol logic, where no socket, resolver or timer belongs; and the shells among their files. */
const SANS_IO = ['lib/crypto', 'lib/sphinx', 'lib/mixing', 'lib/directory', 'lib/client', 'lib/session'];
const SHELLS = ['lib/directory/directory-client.ts'];
const IO_MODULES = /^(node:)?(net|tls|dns|dns\/promises|dgram|http|https|http2|timers|timers\/promises)$|^undici$/;
const PROXY_NET_NAMES = ['createServer', 'isIP', 'isIPv4', 'isIPv6'];

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

/** The part of the tree a file belongs to: a role, `cli`, a folder of lib, or `lib` for its loose files. */
function partOf(path: string): string {
  const [top = '', second = '', ...rest] = path.split('/');
  return top === 'lib' && rest.length > 0 ? `lib/${second}` : top;
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  if (from === to || from === 'cli' || (to === 'lib' && from !== 'lib')) return true;
  const library = LIBRARY_MAY_IMPORT[from];
  const allowed = ROLES.includes(from) ? LIB_PARTS : (MAY_IMPORT[from] ?? library?.concat(LIB_PARTS) ?? []);
  return allowed.includes(to) || (typeOnly && allowed.includes(`type:${to}`));
}

function ioSin(path: string, { specifier, names, typeOnly }: Import): boolean {
  if (typeOnly || !IO_MODULES.test(specifier)) return false;
  const part = partOf(path);
  if (part === 'proxy')
    return !/^(node:)?net$/.test(specifier) || names.some((name) => !PROXY_NET_NAMES.includes(name));
  return SANS_IO.includes(part) && !SHELLS.includes(path);
}

/** The status page's scripts run in a browser: its timers and its fetch are not the proxy's. */
const BROWSER_FOLDER = 'proxy/page/browser/';

/** What is wrong with the imports and globals of one file; empty when all is well. */
function sinsOf(path: string, source: string): string[] {
  const sins: string[] = [];
  const inBrowser = path.startsWith(BROWSER_FOLDER);
  for (const found of importsOf(source)) {
    if (ioSin(path, found)) sins.push(`${path} does I/O: ${found.specifier}`);
    if (!found.specifier.startsWith('.')) continue;
    const target = partOf(posix.join(posix.dirname(path), found.specifier));
    if (!mayImport(partOf(path), target, found.typeOnly)) sins.push(`${path} imports ${found.specifier}`);
    if (inBrowser && !found.typeOnly && !/^\.\/[^/]+$/.test(found.specifier)) {
      sins.push(`${path} imports ${found.specifier}, which the page does not serve`);
    }
  }
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  if (/\bMath\.random\b/.test(code)) sins.push(`${path} draws from Math.random`);
  const clockOwner =
    inBrowser || ['lib/clock.ts', 'lib/log.ts'].includes(path) || ['lib/link', 'cli'].includes(partOf(path));
  if (
    !clockOwner &&
    /(?<![.\w])(setTimeout|setInterval|setImmediate|Date\.now|new Date|performance\.now)\b(?!\(\w+: )/.test(code)
  ) {
    sins.push(`${path} has a clock of its own`);
  }
  if (
    partOf(path) === 'proxy' &&
    !inBrowser &&
    /(?<![.\w])(fetch|WebSocket|net\.connect|createConnection)\s*\(/.test(code)
  ) {
    sins.push(`${path} opens a socket`);
  }
  return sins;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs|js)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

t.test('every file keeps to its layer', (t) => {
  const files = ['index.ts', ...['lib', 'library', 'cli', ...ROLES].flatMap(sourceFiles)];
  t.ok(files.includes('lib/clock.ts') && files.length > 9, 'the tree was read');
  for (const path of files) t.strictSame(sinsOf(path, readFileSync(join(root, path), 'utf8')), [], path);
  t.end();
});

t.test('the check catches what it is there for', (t) => {
  const sinful: readonly (readonly [string, string])[] = [
    ['lib/crypto/a.ts', `import { Sphinx } from '../sphinx/index.ts';`],
    ['lib/sphinx/a.ts', `import type { Link } from '../link/index.ts';`],
    ['lib/mixing/a.ts', `import { verify } from '../directory/index.ts';`],
    ['lib/link/a.ts', `import {\n  DelayQueue,\n} from '../mixing/index.ts';`],
    ['lib/client/a.ts', `export * from '../session/index.ts';`],
    ['lib/session/a.ts', `import { startProxy } from '../../proxy/index.ts';`],
    ['lib/bytes.ts', `import { createCrypto } from './crypto/index.ts';`],
    ['mixnode/index.ts', `import { startGateway } from '../gateway/index.ts';`],
    ['gateway/index.ts', `const role = await import('../cli/main.ts');`],
    ['mixnode/index.ts', `new Worker(new URL('../gateway/thread.js', import.meta.url));`],
    ['directory/deep/a.ts', `import '../../proxy/index.ts';`],
    ['lib/session/a.ts', `import net from 'node:net';`],
    ['lib/directory/documents.ts', `import { request } from 'undici';`],
    ['lib/session/a.ts', `const timer = setTimeout(tick, 10);`],
    ['mixnode/a.ts', `const now = Date.now();`],
    ['lib/client/a.ts', `const roll = Math.random();`],
    ['proxy/a.ts', `import { lookup } from 'node:dns/promises';`],
    ['proxy/a.ts', `import net, { createServer } from 'node:net';`],
    ['proxy/a.ts', `import { connect as createServer } from 'node:net';`],
    ['proxy/a.ts', `await fetch('http://example.org/');`],
    ['library/a.ts', `import { runProgram } from '../cli/program.ts';`],
    ['library/a.ts', `import { startGateway } from '../gateway/index.ts';`],
    ['index.ts', `export { startProxy } from './proxy/index.ts';`],
    ['proxy/a.ts', `import { MixnetClient } from '../library/client.ts';`],
    ['proxy/page/a.ts', `await fetch('http://example.org/');`],
    ['proxy/page/browser/a.ts', `import { VERSION } from '../../../lib/version.ts';`],
  ];
  for (const [path, source] of sinful) t.equal(sinsOf(path, source).length, 1, `${path}: ${source}`);
  const fine: readonly (readonly [string, string])[] = [
    ['lib/mixing/a.ts', `import type { Topology } from '../directory/index.ts';`],
    ['lib/mixing/a.ts', `import { type Topology } from '../directory/index.ts';`],
    ['gateway/a.ts', `import { Topology } from '../lib/directory/index.ts';\nimport x from './config.ts';`],
    ['directory/a.ts', `import { sign } from '../lib/directory/index.ts';`],
    ['proxy/a.ts', `import { createServer, type Socket } from 'node:net';`],
    ['lib/link/a.ts', `import tls from 'node:tls';\nsetTimeout(dial, 1);`],
    ['network-requester/a.ts', `import { connect } from 'node:net';\nsocket.setTimeout(5);`],
    ['lib/sphinx/a.ts', `// as import x from '../link/index.ts'; Date.now()`],
    ['library/a.ts', `import { connect } from 'node:tls';\nimport { ProxyMixnet } from '../proxy/mixnet.ts';`],
    ['index.ts', `export { MixnetClient } from './library/client.ts';`],
    ['proxy/page/browser/a.ts', `import type { Status } from '../../status.ts';\nsetTimeout(() => fetch('/'), 1);`],
    ['cli/main.ts', `import { startGateway } from '../gateway/index.ts';`],
  ];
  for (const [path, source] of fine) t.strictSame(sinsOf(path, source), [], `${path}: ${source}`);
  t.end();
});

/** Lints `sources` under this repository's configuration; the paths of the files with a restricted import or global. */
function lintedSins(t: Test, sources: Readonly<Record<string, string>>): Set<string> {
  const config = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as Record<string, unknown>;
  const tree = { 'biome.json': JSON.stringify({ ...config, vcs: { enabled: false } }), ...sources };
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

t.test('the linter catches one of each in every part', (t) => {
  const good: Record<string, string> = {
    'gateway/good.ts': `export { good } from '../lib/directory/index.ts';\n`,
    'lib/link/good.ts': `import net from 'node:net';\nsetTimeout(net.connect, 1);\n`,
    'library/good.ts': `export { connect } from 'node:tls';\nexport { good } from '../proxy/mixnet.ts';\n`,
    'proxy/good.ts': `import { createServer } from 'node:net';\ncreateServer();\n`,
    'lib/directory/directory-client.ts': `export { request } from 'undici';\n`,
  };
  const bad: Record<string, string> = {
    'lib/bad.ts': `export { bad } from './session/index.ts';\n`,
    'proxy/net.ts': `export { connect } from 'node:net';\n`,
    'proxy/dns.ts': `export { lookup } from 'node:dns/promises';\n`,
    'library/cli.ts': `export { bad } from '../cli/program.ts';\n`,
    'library/clock.ts': 'export const now = Date.now();\n',
    'index.ts': `export { bad } from './cli/program.ts';\n`,
    'proxy/fetch.ts': `export const page = fetch('http://example.org/');\n`,
    'lib/mixing/deep.ts': `export type { Bad } from '../session/index.ts';\n`,
  };
  for (const part of LIB_PARTS) bad[`${part}/role.ts`] = `export { bad } from '../../proxy/index.ts';\n`;
  for (const part of SANS_IO) {
    bad[`${part}/net.ts`] = `export { connect } from 'node:net';\n`;
    bad[`${part}/dns.ts`] = `export { lookup } from 'node:dns/promises';\n`;
  }
  for (const role of ROLES) {
    bad[`${role}/role.ts`] = `export { bad } from '../${role === 'proxy' ? 'gateway' : 'proxy'}/index.ts';\n`;
    bad[`${role}/clock.ts`] = 'export const now = Date.now();\n';
  }
  const found = lintedSins(t, { ...good, ...bad });
  for (const path of Object.keys(bad)) t.ok(found.has(path), path);
  for (const path of Object.keys(good)) t.notOk(found.has(path), path);
  t.end();
});
