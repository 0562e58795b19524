/**
 * One process per folder. The holder listens on a socket file in the folder: the kernel closes it with the process, however that ends,
 * so whoever finds the file can ask whether its holder still lives. Node has no `flock`; a file with a process id would take a
 * process of another container, or a later one with the same number, for the holder. On Windows it is a named pipe, which leaves no
 * file. Processes of two machines on one network file system do not see each other.
 * @module
 */
import { createHash } from 'node:crypto';
import { closeSync, linkSync, lstatSync, openSync, realpathSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { MixError } from '../core/errors.ts';
import { type Rng, systemRng } from '../core/rng.ts';
import { systemCode, systemReason } from '../core/system-errors.ts';

export const LOCK_FILE = 'mixsocks.lock';

/** How long a holder may take to say who it is. */
const ANSWER_MS = 1000;
const MAX_ANSWER_BYTES = 200;
/** Each try that fails found another process that was taking the folder. */
const TRIES = 5;
/** Room for a path in a socket address where it is least (macOS). */
const MAX_PATH_BYTES = 103;
/** Nothing can be written here, so there is nothing to protect. */
const READ_ONLY = ['EROFS', 'EACCES'];

export interface FolderLockOptions {
  /** Who holds it, for the line that another process prints: `mixnode, process 123`. */
  readonly holder: string;
  /** Is given a line when the file system has no sockets or links, and the folder is used without a lock. */
  readonly warn: (line: string) => void;
  readonly rng?: Rng;
}

export class FolderLock {
  readonly #release: () => void;

  private constructor(release: () => void) {
    this.#release = release;
  }

  /** Rejects with ENVIRONMENT when another process holds the folder. A folder that is read-only is not locked. */
  static async take(dir: string, options: FolderLockOptions): Promise<FolderLock> {
    try {
      return new FolderLock(process.platform === 'win32' ? await takePipe(dir, options) : await takeFile(dir, options));
    } catch (error) {
      if (error instanceof MixError) throw error;
      if (!READ_ONLY.includes(systemCode(error) ?? '')) {
        options.warn(`cannot lock the folder ${dir}: ${systemReason(error)}; see to it that no other process uses it`);
      }
      return new FolderLock(() => {});
    }
  }

  /** Gives the folder up. The end of the process does so too. */
  release(): void {
    this.#release();
  }
}

/** What the process that holds `dir` says of itself, empty where it says nothing in time; undefined when none does. */
export async function folderHolder(dir: string): Promise<string | undefined> {
  if (process.platform === 'win32') return asked(pipePath(dir));
  return viaShortPath(dir, LOCK_FILE, asked);
}

function inUse(dir: string, holder: string): MixError {
  const who = holder === '' ? 'another process' : `another process (${holder})`;
  return new MixError(
    'ENVIRONMENT',
    `the folder ${dir} is already in use by ${who}: stop that one, or give this one a folder of its own`,
  );
}

function pipePath(dir: string): string {
  return `\\\\.\\pipe\\mixsocks-${createHash('sha256').update(realpathSync(dir)).digest('hex')}`;
}

async function takePipe(dir: string, { holder }: FolderLockOptions): Promise<() => void> {
  const path = pipePath(dir);
  const server = answering(holder);
  try {
    await listening(server, path);
  } catch (error) {
    if (systemCode(error) === 'EADDRINUSE' || systemCode(error) === 'EACCES')
      throw inUse(dir, (await asked(path)) ?? '');
    throw error;
  }
  return () => void server.close();
}

/**
 * The socket listens under a name of its own first, and a link gives it the name that counts: whoever finds that name finds a
 * socket that answers, and a link never replaces another.
 */
async function takeFile(dir: string, { holder, rng = systemRng }: FolderLockOptions): Promise<() => void> {
  const lock = join(dir, LOCK_FILE);
  const unique = Buffer.from(rng.bytes(8)).toString('hex');
  const own = `${lock}.${unique}`;
  const server = answering(holder);
  await viaShortPath(dir, `${LOCK_FILE}.${unique}`, (path) => listening(server, path));
  try {
    const { ino } = lstatSync(own);
    for (let tries = 0; ; tries++) {
      if (linked(own, lock)) return () => release(server, lock, ino);
      const other = lstatSync(lock, { throwIfNoEntry: false });
      const answer = await viaShortPath(dir, LOCK_FILE, asked);
      if (answer !== undefined || tries === TRIES) throw inUse(dir, answer ?? '');
      if (other?.isSocket() === false)
        throw new MixError('ENVIRONMENT', `${lock} is no lock of mixsocks: move it away`);
      if (other !== undefined) removeStale(lock, other.ino, `${own}.stale`);
    }
  } catch (error) {
    server.close();
    throw error;
  } finally {
    rmSync(own, { force: true }); // closing the server may have removed it
  }
}

function linked(own: string, lock: string): boolean {
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the file that was found unanswered, unless another process has put its own in its place meanwhile. */
function removeStale(lock: string, ino: number, aside: string): void {
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  if (lstatSync(aside).ino !== ino) linked(aside, lock);
  unlinkSync(aside);
}

function release(server: Server, lock: string, ino: number): void {
  try {
    if (lstatSync(lock, { throwIfNoEntry: false })?.ino === ino) unlinkSync(lock);
  } catch {
    // A file that stays behind answers nobody.
  }
  server.close();
}

/** Says who holds the folder to everyone who connects. */
function answering(holder: string): Server {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(holder);
  });
  server.unref();
  return server;
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    server.listen(path, () => {
      server.on('error', () => {}); // a failed accept concerns that connection only
      resolve();
    });
    process.umask(before);
  });
}

/** What the holder says of itself; undefined if nobody holds the socket at `path`, empty if it says nothing in time. */
function asked(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let answer = '';
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('data', (text) => {
      answer = (answer + text).slice(0, MAX_ANSWER_BYTES);
    });
    socket.once('close', () => resolve(answer.replace(/[^\w ,-]/g, '')));
    socket.once('error', (error) => {
      if (['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(systemCode(error) ?? '')) resolve(undefined);
    });
  });
}

/** Calls `use` with a path to `name` in `dir` that fits into a socket address. */
async function viaShortPath<T>(dir: string, name: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(dir, name);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES || process.platform !== 'linux') return use(path);
  const folder = openSync(dir, 'r');
  try {
    return await use(`/proc/self/fd/${folder}/${name}`);
  } finally {
    closeSync(folder);
  }
}
