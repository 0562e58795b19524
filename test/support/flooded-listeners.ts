/**
 * The listeners of a network that are not links, each served alone, and honest hosts that ask them.
 * @module
 */
import { connect } from 'node:net';
import type { Test } from 'tap';
import { DirectoryConfig, startDirectory } from '../../directory/index.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import { serveLocalHttp } from '../../lib/net/http.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startWorld } from './front-world.ts';
import { crypto } from './signed-documents.ts';

/** The beginning of the answer to a request from an address of its own; nothing when the connection is closed. */
export function ask(port: number, text: string, from: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => {});
    socket.write(text);
    socket.once('close', () => resolve(''));
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1'));
      socket.destroy();
    });
  });
}

export const REQUEST = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** How many of five hosts are served while the flood goes on. */
export async function served(port: number, text: string, expected: string): Promise<number> {
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => ask(port, text, `127.0.1.${n}`)));
  return answers.filter((answer) => answer.startsWith(expected)).length;
}

/** More than the buffers of a connection hold. */
const LARGE_BYTES = 16 * 1024 * 1024;

export interface FloodedListener {
  readonly name: string;
  /** Resolves with the port. */
  readonly start: (t: Test) => Promise<number>;
  readonly text: string;
  readonly expected: string;
}

/** The listeners that speak HTTP, or SOCKS. */
export const LISTENERS = {
  directory: {
    name: 'the directory',
    text: REQUEST,
    expected: 'HTTP/1.1 404 ',
    start: async (t) => {
      const dir = t.testdir();
      await saveIdentity(dir, await createIdentity(systemRng));
      const config = DirectoryConfig.parse({ dir, openToAll: true, listen: '127.0.0.1:0' });
      const components = { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
      const directory = await startDirectory(config, components);
      t.teardown(() => directory.stop());
      return Number(new URL(directory.url).port);
    },
  },
  metrics: {
    name: 'a metrics page',
    text: REQUEST,
    expected: 'HTTP/1.1 200 ',
    start: async (t) => {
      const large = Buffer.alloc(LARGE_BYTES);
      const routes = { '/metrics': () => ({ body: 'up 1\n' }), '/large': () => ({ body: large }) };
      const hosts = { listed: [], flag: '--metrics-hosts' } as const;
      const server = await serveLocalHttp({ listen: '127.0.0.1:0', hosts, routes, log: silentLog });
      t.teardown(() => server.close());
      return server.port;
    },
  },
  socks: {
    name: 'a SOCKS port for other machines',
    text: '\x05\x01\x00',
    expected: '\x05\x00',
    start: async (t) => {
      const world = await startWorld({ front: { listen: '0.0.0.0:0', allowRemote: true } });
      t.teardown(() => world.stop());
      return world.port;
    },
  },
} satisfies Record<string, FloodedListener>;
