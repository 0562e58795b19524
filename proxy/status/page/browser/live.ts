/**
 * Keeps the page current: asks for the status every second and shows it. Runs in the browser.
 * @module
 */
import type { Status } from '../../../../lib/access/status/status.ts';
import type { History } from '../history.ts';
import type { PageDocument, PageTemplate } from './dom.ts';
import { morph } from './morph.ts';
import { titleOf, view } from './view.ts';

declare const document: PageDocument & { createElement(name: 'template'): PageTemplate };

const PERIOD_MS = 1_000;
const TIMEOUT_MS = 5_000;

async function fetchJson(path: string): Promise<unknown> {
  const reply = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

async function refresh(): Promise<void> {
  const [status, history] = (await Promise.all([fetchJson('/status.json'), fetchJson('/history.json')])) as [
    Status,
    History,
  ];
  const main = document.getElementById('status');
  if (main === null) return;
  const template = document.createElement('template');
  template.innerHTML = view(status, history).markup;
  morph(main, template.content);
  document.title = titleOf(status);
}

function showStale(stale: boolean): void {
  const banner = document.getElementById('stale');
  if (banner !== null) banner.hidden = !stale;
  if (stale) document.title = 'no answer · mixsocks';
}

async function poll(): Promise<void> {
  try {
    await refresh();
    showStale(false);
  } catch {
    showStale(true);
  }
  setTimeout(poll, PERIOD_MS);
}

void poll();
