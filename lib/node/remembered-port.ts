/**
 * The port that a node took when its options allow any: after a restart the consensus still names it, so it is tried
 * first.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MixError } from '../core/errors.ts';

const PORT_FILE = 'listen-port';

function rememberedPort(dir: string): number {
  try {
    const port = Number(readFileSync(join(dir, PORT_FILE), 'latin1'));
    return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : 0;
  } catch {
    return 0;
  }
}

/** Calls `listen` with `port`, or if that is 0 with the port of last time, and with 0 if that is taken. */
export async function listenAgain<T extends { readonly port: number }>(
  dir: string,
  port: number,
  listen: (port: number) => Promise<T>,
): Promise<T> {
  if (port !== 0) return listen(port);
  const last = rememberedPort(dir);
  let listener: T;
  try {
    listener = await listen(last);
  } catch (error) {
    if (last === 0 || !(error instanceof MixError) || error.code !== 'LISTEN') throw error;
    listener = await listen(0);
  }
  if (listener.port !== last) writeFileSync(join(dir, PORT_FILE), `${listener.port}\n`, { mode: 0o600 });
  return listener;
}
