/**
 * The status page and what belongs to it: a few files of one origin, none from elsewhere. The scripts are modules of
 * this program, compiled; the folder `browser/` is served as it is.
 * @module
 */
import { readFile } from 'node:fs/promises';
import type { Status } from '../../../lib/access/status/status.ts';
import { joinHostPort, reachableHost, splitHostPort } from '../../../lib/net/address.ts';
import type { HttpAnswer, Routes } from '../../../lib/net/http.ts';
import { html } from './browser/html.ts';
import { titleOf, view } from './browser/view.ts';
import type { History } from './history.ts';
import { STYLE } from './style.ts';

/** The compiled modules that the page loads, by name. */
export const BROWSER_MODULES = [
  'live',
  'view',
  'clocks',
  'paths',
  'mixing',
  'cards',
  'chart',
  'html',
  'morph',
  'words',
] as const;

/**
 * Nothing but what this server sends itself: a name of a node that would break out of its text could not load, run or
 * send anything.
 */
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
};

export interface PageSources {
  readonly status: () => Status;
  readonly history: () => History;
}

/** `/` with its files, `/history.json` and `/proxy.pac`. */
export function pageRoutes({ status, history }: PageSources): Routes {
  const modules = BROWSER_MODULES.map((name) => [`/page/${name}.js`, () => browserModule(name)] as const);
  return {
    '/': () => file('text/html; charset=utf-8', pageDocument(status(), history())),
    '/page/style.css': () => file('text/css; charset=utf-8', STYLE),
    ...Object.fromEntries(modules),
    '/history.json': () => file('application/json', `${JSON.stringify(history())}\n`),
    '/proxy.pac': () => pac(status().socks),
  };
}

function file(type: string, body: string | Uint8Array): HttpAnswer {
  return { type, body, headers: HEADERS };
}

async function browserModule(name: string): Promise<HttpAnswer> {
  return file('text/javascript; charset=utf-8', await readFile(new URL(`./browser/${name}.js`, import.meta.url)));
}

function pac(socks: string): HttpAnswer {
  const script = pacScript(socks);
  return script === undefined ? { status: 404, body: 'the proxy has no address\n' } : file(PAC_TYPE, script);
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='none' stroke='%233f6fe0' stroke-width='2'%3E%3Cpath d='M1 4c5 0 9 8 14 8M1 12C6 12 10 4 15 4'/%3E%3C/g%3E%3C/svg%3E";

/** Without scripts the page loads itself again after this many seconds. */
const RELOAD_SECONDS = 3;

/** The content as of now, and what keeps it current in a browser that runs scripts. */
export function pageDocument(status: Status, history: History): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${titleOf(status)}</title>
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="/page/style.css">
<script type="module" src="/page/live.js"></script>
<noscript><meta http-equiv="refresh" content="${RELOAD_SECONDS}"></noscript>
</head>
<body>
<p id="stale" class="stale" role="alert" hidden>The proxy does not answer. What you see is old.</p>
<main id="status">${view(status, history)}</main>
</body>
</html>
`.markup;
}

/** Automatic proxy configuration: sends everything through the SOCKS port and lets nothing go past it. */
const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

/**
 * The script for a front bound to `socks` (`host:port`). Only `SOCKS5` is offered: a bare `SOCKS` is version 4 to
 * Chromium, which would resolve names on this machine, and `DIRECT` would go past the mixnet when the proxy is down.
 * This machine itself is not reached through a mixnet. Undefined for a front that no browser can reach by address.
 */
export function pacScript(socks: string): string | undefined {
  const front = splitHostPort(socks);
  if (front === undefined) return undefined;
  const address = joinHostPort(reachableHost(front.host), front.port);
  return `function FindProxyForURL(url, host) {
  if (host === "localhost" || host === "::1" || host === "[::1]" || /^127(\\.\\d{1,3}){3}$/.test(host)) {
    return "DIRECT";
  }
  return ${JSON.stringify(`SOCKS5 ${address}`)};
}
`;
}
