/**
 * The handle of a recording relay, which runs in a thread of its own.
 * @module
 */
import { once } from 'node:events';
import { FrameTimes } from './frame-times.ts';
import type { RelayData, RelayNews } from './relay-thread.ts';
import { startThread } from './thread.ts';

/** When frames passed on a connection, from the one who dialled (up) and to it (down). */
export interface RecordedLink {
  readonly up: FrameTimes;
  readonly down: FrameTimes;
}

export interface Relay {
  readonly port: number;
  /** Grows as connections are opened. */
  readonly links: readonly RecordedLink[];
  /** Cuts its connections. */
  close(): Promise<void>;
}

/** Starts a relay to a port of this machine, at the address where that is listened on. */
export async function startRelay(targetPort: number, targetHost = '127.0.0.1'): Promise<Relay> {
  const data: RelayData = { targetHost, targetPort };
  const thread = startThread(new URL('./relay-thread.ts', import.meta.url), data);
  const links: RecordedLink[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    thread.once('error', reject);
    thread.on('message', (news: RelayNews) => {
      if (news.news === 'listening') resolve(news.port);
      else links.push({ up: new FrameTimes(news.up), down: new FrameTimes(news.down) });
    });
  });
  return {
    port,
    links,
    async close() {
      const ended = once(thread, 'exit');
      thread.postMessage('close');
      await ended;
    },
  };
}
