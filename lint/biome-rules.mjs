/**
 * Makes the linter's part of the import rules: `biome.imports.json` out of `import-rules.json`. Run it with
 * `npm run lint:rules` after a change of the rules; a test holds the two equal.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LAYERS_MESSAGE = 'imports point downwards only (lint/import-rules.json)';
const IO_MESSAGE = 'protocol logic does no I/O: take bytes and times as arguments, or put the socket into a shell';
const PROXY_MESSAGE = 'the proxy never resolves a name and opens no socket of its own';
const CLOCK_MESSAGE = 'time and timers come from the injected Clock (lib/core/clock.ts)';
const IO_MODULES = 'node:{net,tls,dns,dns/promises,dgram,http,https,http2,timers,timers/promises}';
const CLOCK_GLOBALS = ['setTimeout', 'setInterval', 'setImmediate', 'Date', 'performance'];
/** Folders below a part, at most. */
const MAX_DEPTH = 3;

/** @returns {string[]} the parts that `part` may import, besides itself */
export function importableParts(rules, part) {
  const row = rules.layers.findIndex((parts) => parts.includes(part));
  const below = rules.layers.slice(row + 1).flat();
  return rules.only[part] ?? below;
}

/** Patterns of the import specifiers that lead from a file `depth` folders below the root to the parts in `targets`. */
function specifierPatterns(targets, part, depth) {
  const up = depth === 0 ? './' : '../'.repeat(depth);
  const group = (prefix, names) => (names.length === 0 ? [] : [`${prefix}{${names.join(',')},}/**`]);
  const lib = targets.filter((target) => target.startsWith('lib/')).map((target) => target.slice('lib/'.length));
  const others = targets.filter((target) => !target.startsWith('lib/') && target !== 'index.ts');
  const libPrefix = part.startsWith('lib/') ? '../'.repeat(depth - 1) : `${up}lib/`;
  return [...group(libPrefix, lib), ...group(up, others)];
}

function importsOverride(rules, part, includes, depth) {
  const all = rules.layers.flat();
  const allowed = new Set([part, ...importableParts(rules, part)]);
  const forbidden = specifierPatterns(
    all.filter((target) => !allowed.has(target)),
    part,
    depth,
  );
  const patterns = [];
  if (forbidden.length > 0) patterns.push({ group: forbidden, message: LAYERS_MESSAGE });
  if (rules.sansIo.includes(part)) patterns.push({ group: [IO_MODULES, 'undici'], message: IO_MESSAGE });
  if (part === 'proxy') {
    const modules = IO_MODULES.replace('net,', '').replace('http,', '');
    patterns.push({ group: [modules, 'undici'], message: PROXY_MESSAGE });
  }
  const paths = {
    'node:net': { allowImportNames: rules.proxyNetNames, message: PROXY_MESSAGE },
    'node:http': { allowImportNames: rules.proxyHttpNames, message: PROXY_MESSAGE },
  };
  const options = part === 'proxy' ? { paths, patterns } : { patterns };
  if (patterns.length === 0) return [];
  return [override(includes, { noRestrictedImports: { level: 'error', options } })];
}

function override(includes, style) {
  return { includes, linter: { rules: { style } } };
}

function deny(includes, names, message, more = {}) {
  const deniedGlobals = { ...Object.fromEntries(names.map((name) => [name, message])), ...more };
  return override(includes, { noRestrictedGlobals: { level: 'error', options: { deniedGlobals } } });
}

/** @returns the text of biome.imports.json */
export function biomeRules(rules) {
  const imports = rules.layers.flat().flatMap((part) => {
    if (part === 'index.ts') return importsOverride(rules, part, [part], 0);
    const depth = part.split('/').length;
    return Array.from({ length: MAX_DEPTH + 1 }, (_, below) => {
      const shells = rules.shells.filter((shell) => shell.startsWith(`${part}/`)).map((shell) => `!${shell}`);
      return importsOverride(rules, part, [`${part}/${'*/'.repeat(below)}*.ts`, ...shells], depth + below);
    }).flat();
  });
  const parts = rules.layers.flat().filter((part) => part !== 'index.ts' && part !== 'proxy');
  const own = rules.ownClock.map((path) => (path.endsWith('.ts') ? `!${path}` : `!${path}/**`));
  const clocked = parts.filter((part) => !rules.ownClock.includes(part)).map((part) => `${part}/**`);
  const network = { fetch: PROXY_MESSAGE, WebSocket: PROXY_MESSAGE };
  const globals = [
    deny([...clocked, ...own], CLOCK_GLOBALS, CLOCK_MESSAGE),
    deny(['proxy/**', `!${rules.browser}/**`], CLOCK_GLOBALS, CLOCK_MESSAGE, network),
  ];
  return `${JSON.stringify({ overrides: [...imports, ...globals] }, null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rules = JSON.parse(readFileSync(new URL('import-rules.json', import.meta.url), 'utf8'));
  writeFileSync(new URL('../biome.imports.json', import.meta.url), biomeRules(rules));
}
