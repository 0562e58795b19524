/**
 * A relay in front of one port: notes when frames pass in both directions, and does nothing else. Each relay has a
 * thread of its own, so that no other link, load or arithmetic makes it late.
 * @module
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { monotonicMs } from '../../lib/core/monotonic.ts';
import { FrameFinder, FrameTimes } from './frame-times.ts';

/** Orders to a relay. */
export interface RelayData {
  readonly targetHost: string;
  readonly targetPort: number;
}

/** What it tells: its port once, then each link that is opened through it. */
export type RelayNews =
  | { readonly news: 'listening'; readonly port: number }
  | { readonly news: 'link'; readonly up: SharedArrayBuffer; readonly down: SharedArrayBuffer };

const HOST = '127.0.0.1';
/** Ahead of those it watches, where the system allows it: on Linux it holds for the calling thread alone. */
const NICENESS = -15;

const main = parentPort as MessagePort;
const { targetHost, targetPort } = (workerData as { data: RelayData }).data;
const sockets = new Set<Socket>();

try {
  setPriority(0, NICENESS);
} catch {
  // Without the right to it the recording is a little less precise, which its measured error shows.
}

function pump(from: Socket, to: Socket, times: FrameTimes): void {
  const finder = new FrameFinder(times);
  from.setNoDelay(true);
  from.on('data', (chunk: Buffer) => {
    const nowMs = monotonicMs();
    to.write(chunk);
    finder.push(chunk, nowMs);
  });
  from.on('error', () => {});
  from.on('close', () => {
    sockets.delete(from);
    to.destroy();
  });
  sockets.add(from);
}

const server = createServer((near) => {
  const far = connect(targetPort, targetHost);
  const [up, down] = [new FrameTimes(), new FrameTimes()];
  pump(near, far, up);
  pump(far, near, down);
  main.postMessage({ news: 'link', up: up.memory, down: down.memory } satisfies RelayNews);
});
server.listen(0, HOST, () => {
  main.postMessage({ news: 'listening', port: (server.address() as AddressInfo).port } satisfies RelayNews);
});
main.once('message', () => {
  server.close();
  for (const socket of sockets) socket.destroy();
});
