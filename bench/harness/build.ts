/**
 * Builds under measurement: that of this working tree, and that of any commit, made in a temporary work tree.
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Build {
  /** `working tree`, or the commit as it was named. */
  readonly name: string;
  /** Folder with `dist` and `node_modules`. */
  readonly root: string;
  /** The program: `node MAIN ROLE ...` */
  readonly main: string;
}

/** A package in a lock file. */
interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly optional?: boolean;
}

/** A request that can not be met: said in one line, without a stack. */
export class BenchError extends Error {}

function buildIn(name: string, root: string): Build {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], root, `cannot build ${name}`);
  return { name, root, main: join(root, 'dist/cli/main.js') };
}

/** The working tree, built as it is now; a build that is newer than every source is left alone, since others may use it. */
export function buildWorkingTree(): Build {
  const name = 'working tree';
  const main = join(ROOT, 'dist/cli/main.js');
  return isNewerThanSources(main) ? { name, root: ROOT, main } : buildIn(name, ROOT);
}

function isNewerThanSources(built: string): boolean {
  const config = readFileSync(join(ROOT, 'tsconfig.build.json'), 'utf8');
  const { include } = JSON.parse(config) as { include: readonly string[] };
  const sources = ['tsconfig.json', 'tsconfig.build.json', 'node_modules/.package-lock.json', ...include];
  return existsSync(built) && sources.every((path) => newestMs(join(ROOT, path)) < statSync(built).mtimeMs);
}

/** When a file, or the newest in a folder, was changed; folders too, since a file that is gone changes them. */
function newestMs(path: string): number {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts?.isDirectory() !== true) return facts?.mtimeMs ?? 0;
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), facts.mtimeMs);
}

/** Whether `commit` is in the history that is here; a packed tarball has none, a shallow clone little. */
export function hasCommit(commit: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Builds `commit` in a work tree that goes away with `scope`. Throws BenchError when there is no such commit. */
export function buildCommit(scope: Scope, commit: string): Build {
  if (!hasCommit(commit)) {
    throw new BenchError(`no commit ${commit} here; in a shallow clone, run: git fetch --unshallow`);
  }
  const root = mkdtempSync(join(tmpdir(), 'mixsocks-commit-'));
  scope.teardown(() => removeWorkTree(root));
  run('git', ['worktree', 'add', '--quiet', '--force', '--detach', root, commit], ROOT, `cannot check out ${commit}`);
  if (hasSamePackages(root)) symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  else install(root, commit);
  return buildIn(commit, root);
}

function removeWorkTree(root: string): void {
  rmSync(join(root, 'node_modules'), { recursive: true, force: true }); // a link to ours, mostly: only the link goes
  spawnSync('git', ['worktree', 'remove', '--force', root], { cwd: ROOT, stdio: 'ignore' });
  rmSync(root, { recursive: true, force: true }); // it may not have become a work tree
}

function install(root: string, commit: string): void {
  const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  run('npm', args, root, `cannot install the packages of ${commit}`);
}

/** Whether our `node_modules` holds every package that the work tree's lock file asks for, in that version. */
function hasSamePackages(root: string): boolean {
  const installed = packagesOf(join(ROOT, 'node_modules/.package-lock.json'));
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
    ([path, { version, integrity, optional }]) => {
      const ours = installed[path];
      if (path === '' || (ours === undefined && optional === true)) return true; // optional: of another platform
      return ours?.version === version && ours?.integrity === integrity;
    },
  );
}

function packagesOf(lockFile: string): Readonly<Record<string, LockedPackage>> {
  if (!existsSync(lockFile)) return {};
  return (JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, LockedPackage> }).packages;
}

function run(command: string, args: readonly string[], cwd: string, fault: string): void {
  try {
    execFileSync(command, args, { cwd, stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const said = `${stderr}\n${stdout}`.split('\n').find((line) => line.trim() !== '');
    throw new BenchError(`${fault}: ${said ?? (error as Error).message}`);
  }
}

/** Whether a command of this build has an option. */
export function hasOption({ main }: Build, command: string, option: string): boolean {
  return execFileSync(process.execPath, [main, command, '--help'], { encoding: 'utf8' }).includes(option);
}
