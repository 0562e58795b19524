/**
 * The sites of the browser tests: one server behind every name, and a page that tries whatever a page can to get past the
 * proxy.
 * @module
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export const SITE = 'site.test';
/** Private addresses that nobody has: a page that reaches for them must be heard by the proxy. */
const STRANGER = '10.99.0.7';
const STRANGER_6 = 'fd99::7';
const STUN = '10.99.0.9';
/** Runs in the page. */
const SCRIPT = readFileSync(new URL('attempts.js', import.meta.url), 'utf8');

export interface Site {
  readonly port: number;
  /** Host and path of each request, in order. */
  readonly requests: string[];
  /** What the page has reported. */
  readonly reports: Record<string, string>;
  connections: number;
  close(): void;
}

export async function startSite(): Promise<Site> {
  const requests: string[] = [];
  const reports: Record<string, string> = {};
  const server = createServer(async (request, response) => {
    requests.push(`${request.headers.host}${request.url}`);
    response.setHeader('Access-Control-Allow-Origin', '*');
    if (request.url === '/report') Object.assign(reports, await jsonOf(request));
    if (request.url !== '/') response.end('there');
    else response.setHeader('Content-Type', 'text/html').end(page(port));
  });
  server.on('upgrade', ({ headers }, socket) => {
    requests.push(`upgrade ${headers.host}`);
    socket.destroy();
  });
  const site = {
    requests,
    reports,
    connections: 0,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  server.on('connection', () => {
    site.connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(site, { port });
}

async function jsonOf(request: IncomingMessage): Promise<object> {
  let text = '';
  for await (const part of request) text += String(part);
  return JSON.parse(text) as object;
}

/** Destinations that the page reaches for in ways that every proxy carries. */
export const TRIED = [
  'fetched.test:80',
  'image.test:80',
  'socket.test:80',
  'secure.test:443',
  'beacon.test:80',
  `${STRANGER}:80`,
  `[${STRANGER_6}]:80`,
];
/** Those of preconnections and look-ups that nobody clicked for. */
export const AHEAD = ['looked-up.test:80', 'looked-up.test:443', 'preconnected.test:80', 'speculated.test:80'];
/** What a browser may or may not ask its proxy for on behalf of the page. */
export const TOLERATED = [
  `${SITE}:80`,
  'prefetched.test:80',
  'stun.test:3478',
  `${STUN}:3478`,
  'webtransport.test:443',
];

function page(port: number): string {
  const rules = JSON.stringify({ prefetch: [{ urls: ['http://speculated.test/'], eagerness: 'immediate' }] });
  return `<!doctype html><title>out</title>
<link rel="icon" href="data:,">
<link rel="dns-prefetch" href="//looked-up.test"><link rel="preconnect" href="http://preconnected.test">
<link rel="prefetch" href="http://prefetched.test/"><script type="speculationrules">${rules}</script>
<a href="http://looked-up.test/">a link</a><video></video>
<script>const { port, STRANGER, STRANGER_6, STUN } = ${JSON.stringify({ port, STRANGER, STRANGER_6, STUN })};
${SCRIPT}</script>`;
}
