/**
 * What the probed proxy's user does: nothing, downloads, uploads. Curl does the work, again and again until stopped.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export const CONDITIONS = ['idle', 'downloading', 'uploading'] as const;
export type Condition = (typeof CONDITIONS)[number];

const TRANSFER_BYTES = 20_000_000;

export interface Load {
  stop(): Promise<void>;
}

/** Keeps `condition` going through the SOCKS port. */
export async function startLoad(condition: Condition, socks: string): Promise<Load> {
  if (condition === 'idle') return { stop: async () => {} };
  const body = Buffer.alloc(TRANSFER_BYTES, 'x');
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') response.end(body);
    else request.on('end', () => response.end('thanks\n'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const args = ['-sS', '-o', '/dev/null', '-x', `socks5h://${socks}`, url];
  if (condition === 'uploading') args.push('--data-binary', '@-');
  let running = true;
  let curl = spawn('curl', args);
  const feed = () => {
    curl.stdin.on('error', () => {});
    curl.stdin.end(condition === 'uploading' ? body : undefined);
    curl.once('exit', () => {
      if (!running) return;
      curl = spawn('curl', args);
      feed();
    });
  };
  feed();
  return {
    async stop() {
      running = false;
      curl.kill();
      server.closeAllConnections();
      server.close();
    },
  };
}
