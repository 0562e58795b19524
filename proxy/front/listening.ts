/**
 * Binds a server to an address of the front. A socket file belongs to its user alone from the first moment on.
 * @module
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { MixError, systemCode } from '../../lib/core/errors.ts';
import { BACKLOG, listenOn } from '../../lib/net/listening.ts';
import { isServed } from '../../lib/net/socket-file.ts';
import type { ListenAddress } from './listener.ts';

const OWNER_ONLY = 0o600;
/** Room for a path in a socket address without its zero byte, where it is least (macOS); longer ones would be cut off unseen. */
const MAX_PATH_BYTES = 103;

/** Starts `server` on `address`; resolves with the address as bound. Rejects with LISTEN. */
export async function listen(server: Server, address: ListenAddress): Promise<ListenAddress> {
  if (address.kind === 'tcp') return { ...address, port: await listenOn(server, address) };
  const { path } = address;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new MixError('LISTEN', `cannot listen on unix:${path}: a path has at most ${MAX_PATH_BYTES} bytes`);
  }
  await removeStaleSocket(path);
  await bound(server, path);
  chmodSync(path, OWNER_ONLY);
  return address;
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(unixError(error, path)));
    server.once('listening', () => {
      server.removeAllListeners('error');
      server.on('error', () => {}); // a failed accept (EMFILE) concerns that connection only
      resolve();
    });
    privately(() => server.listen({ path, backlog: BACKLOG }));
  });
}

/** The file is made within `create`, which Node does before it returns: nobody else can connect before the chmod. */
function privately(create: () => void): void {
  const before = process.umask(0o177);
  try {
    create();
  } finally {
    process.umask(before);
  }
}

/**
 * A proxy that was killed leaves its socket file behind, and nothing can listen there again. Other files are not touched,
 * nor a socket on which somebody listens.
 */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
    if (await isServed(path)) throw new MixError('LISTEN', `cannot listen on unix:${path}: another program does`);
    unlinkSync(path);
  } catch (error) {
    throw error instanceof MixError ? error : unixError(error, path);
  }
}

function unixError(error: unknown, path: string): MixError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'there is a file that is no socket',
    // Node says EACCES for a folder that is not there as well.
    EACCES: 'there is no such folder, or this user may not write there',
    ENOTDIR: 'there is no such folder',
  };
  const code = systemCode(error) ?? '';
  return new MixError('LISTEN', `cannot listen on unix:${path}: ${reasons[code] ?? code}`, error);
}
