/**
 * Builds that are broken on purpose, to see whether the probe would notice.
 * @module
 */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Mutant {
  /** File below `dist`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const MUTANTS: Readonly<Record<string, Mutant>> = {
  /** Departures depend on load: where content waits, two frames leave at one tick. */
  'departs-on-load': {
    file: 'lib/link/thread/departures.js',
    find: 'if (departContent(memory, send))\n            return;',
    replace:
      'if (departContent(memory, send)) {\n            departContent(memory, send);\n            return;\n        }',
  },
  /** Idle slots loop home, over a reply block of one's own: the flow to the requester shows activity. */
  'idle-loops-home': {
    file: 'lib/session/main-source.js',
    find: 'return this.#endpoint.sealTo(this.#listed(pooled), pooled.session.padding(this.#clock.nowMs()));',
    replace:
      'const home = this.#endpoint.createSurb({ receive() {} });\n' +
      '        return home && this.#endpoint.sealReply(home, pooled.session.padding(this.#clock.nowMs()));',
  },
};

export const mutantNames = Object.keys(MUTANTS);

/** A copy of `dist` with the mutation applied. Throws when the code has moved on and the mutation no longer applies. */
export async function mutate(dist: string, name: string): Promise<string> {
  const mutant = MUTANTS[name];
  if (mutant === undefined) throw new Error(`no mutant "${name}": there are ${mutantNames.join(', ')}`);
  const root = join(tmpdir(), `mixsocks-mutant-${name}-${process.pid}`);
  const copy = join(root, 'dist');
  await cp(dist, copy, { recursive: true });
  await symlink(join(dirname(dist), 'node_modules'), join(root, 'node_modules'));
  await cp(join(dirname(dist), 'package.json'), join(root, 'package.json'));
  const path = join(copy, mutant.file);
  const text = await readFile(path, 'utf8');
  if (!text.includes(mutant.find)) throw new Error(`the mutation "${name}" does not apply any more: ${mutant.file}`);
  await writeFile(path, text.replace(mutant.find, mutant.replace));
  return copy;
}
