/**
 * The internet of the test: a web site under a name for each family of addresses, and the name server that exits ask.
 * @module
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { noteDestination } from '../support/destinations.ts';
import { startDns } from '../support/dns.ts';
import type { Scope } from '../support/localnet.ts';
import { patternChunks } from '../support/web.ts';
import type { Lan } from './lan.ts';

export const NAMES = { 4: 'four.example.org', 6: 'six.example.org' } as const;

export interface Site {
  /** host:port of the name server. */
  readonly nameServer: string;
  /** Under `/bytes/N?SEED` N bytes of the pattern, under `/paced?SEED` as many as the time gives, until `endPaced`. */
  url(family: 4 | 6, path: string): string;
  /** What the last request over each family came from. */
  readonly visitors: ReadonlyMap<4 | 6, string>;
  /** Where the paced answers go that are under way, and not to end. */
  paced(): readonly string[];
  /** Ends the paced answers that are under way. */
  endPaced(): void;
}

const PACED_BYTES = 1000;
const PACE_MS = 1000;

export async function startSite(t: Scope, lan: Lan): Promise<Site> {
  const visitors = new Map<4 | 6, string>();
  let paced: string[] = [];
  // no time limits: a stream may live as long as the test
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
    const [, kind, bytes, seed = ''] = /^\/(bytes|paced)(?:\/(\d+))?\?(.*)$/.exec(request.url ?? '') ?? [];
    const family = request.headers.host?.startsWith(NAMES[6]) ? 6 : 4;
    const visitor = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    visitors.set(family, visitor);
    const present = paced;
    if (kind === 'paced') present.push(visitor);
    const sent =
      kind === 'paced' ? sendPaced(response, seed, () => paced !== present) : send(response, Number(bytes), seed);
    sent.catch(() => response.destroy());
  });
  server.listen(0, '::');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  const zone = { [NAMES[4]]: [lan.ownAddress('sites')], [NAMES[6]]: [lan.ownAddress('sites', 6)] };
  const { place } = await startDns(t, zone, lan.ownAddress('sites'));
  return {
    nameServer: place,
    url: (family, path) => `http://${NAMES[family]}:${port}${path}`,
    visitors,
    paced: () => paced,
    endPaced: () => {
      paced = [];
    },
  };
}

async function send(response: ServerResponse, bytes: number, seed: string): Promise<void> {
  response.writeHead(200, { 'Content-Length': bytes });
  for (const chunk of patternChunks(bytes, seed)) {
    if (!response.write(chunk)) await once(response, 'drain');
  }
  response.end();
}

async function sendPaced(response: ServerResponse, seed: string, isEnding: () => boolean): Promise<void> {
  response.writeHead(200);
  for (const chunk of patternChunks(Number.MAX_SAFE_INTEGER, seed)) {
    for (let at = 0; at < chunk.byteLength; at += PACED_BYTES) {
      if (isEnding() || response.destroyed) {
        response.end();
        return;
      }
      response.write(chunk.subarray(at, at + PACED_BYTES));
      await sleep(PACE_MS);
    }
  }
}
