/**
 * Hooks of node's module loader for `typescript.mjs`: a `.ts` file is read without its types, with a map of its lines.
 * @module
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transform, transformSync } from 'esbuild';

const isTypeScript = (url) => url.startsWith('file:') && new URL(url).pathname.endsWith('.ts');

function optionsOf(path) {
  const lines = { sourcefile: path, sourcemap: 'inline', sourcesContent: false };
  return { loader: 'ts', format: 'esm', target: 'node20', ...lines };
}

const loaded = ({ code }) => ({ format: 'module', source: code, shortCircuit: true });

/** For `module.register`, which has a thread of its own for it. */
export async function load(url, context, next) {
  if (!isTypeScript(url)) return next(url, context);
  const path = fileURLToPath(url);
  return loaded(await transform(readFileSync(path, 'utf8'), optionsOf(path)));
}

/** For `module.registerHooks`. */
export function loadSync(url, context, next) {
  if (!isTypeScript(url)) return next(url, context);
  const path = fileURLToPath(url);
  return loaded(transformSync(readFileSync(path, 'utf8'), optionsOf(path)));
}
