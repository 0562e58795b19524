/**
 * The page as one document: the content as of now, and what keeps it current in a browser that runs scripts.
 * @module
 */
import type { Status } from '../../../lib/access/status/status.ts';
import { html } from './browser/html.ts';
import { titleOf, view } from './browser/view.ts';
import type { History } from './history.ts';

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='none' stroke='%233f6fe0' stroke-width='2'%3E%3Cpath d='M1 4c5 0 9 8 14 8M1 12C6 12 10 4 15 4'/%3E%3C/g%3E%3C/svg%3E";

/** Without scripts the page loads itself again after this many seconds. */
const RELOAD_SECONDS = 3;

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
