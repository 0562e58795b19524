/**
 * Streams, round trip and reply blocks: one card each.
 * @module
 */
import type { Status } from '../../status.ts';
import type { History } from '../history.ts';
import { bar, sparkline } from './chart.ts';
import { type Html, html } from './html.ts';
import { bytes, count, figure } from './words.ts';

/** Why a request failed, in words; codes that are not here are shown as they are. */
const REASONS: Readonly<Record<string, string>> = {
  POLICY: 'not allowed',
  NET_UNREACHABLE: 'network unreachable',
  NOT_FOUND: 'no such name',
  HOST_UNREACHABLE: 'host unreachable',
  REFUSED: 'connection refused',
  TIMEOUT: 'no answer in time',
  COMMAND: 'command not supported',
  ADDRESS_TYPE: 'not an address',
  LIMIT: 'limit reached',
  SESSION_CLOSED: 'session ended',
  RESET: 'broken off',
  NO_CONSENSUS: 'no consensus',
  NO_GATEWAY: 'no gateway',
  NO_REQUESTER: 'no exit',
};

export function cardsSection(status: Status, history: History): Html {
  return html`<section aria-labelledby="use">
    <h2 id="use">Use</h2>
    <div class="grid cards">
      ${streamsCard(status, history)}
      ${roundTripCard(status, history)}
      ${surbsCard(status)}
    </div>
  </section>`;
}

function streamsCard({ streams }: Status, history: History): Html {
  const refused = Object.entries(streams.refused);
  const down = history.deliveredBytes;
  const rate = (values: readonly number[]) => `${bytes(mean(values.slice(-3)))}/s`;
  return html`<article class="card">
    <h3>Streams</h3>
    <p class="big"><b>${streams.open}</b> <span>open</span></p>
    ${sparkline({ label: `Bytes to you per second, now ${rate(down)}`, values: down, room: history.room })}
    <p class="state">${rate(down)} down, ${rate(history.sentBytes)} up</p>
    <p class="what">${count(streams.opened, 'stream')} so far${streams.abandoned > 0 && html`, ${streams.abandoned} given up`}${refused.length > 0 && html`; failed: ${refused.map(([code, times]) => `${REASONS[code] ?? code} ${times}`).join(', ')}`}</p>
  </article>`;
}

function roundTripCard({ sessions, network }: Status, { roundTripMs, room }: History): Html {
  const now = Math.max(0, ...sessions.map((session) => session.roundTripMs));
  const known = now > 0;
  const delayMs = network.meanDelayMs;
  return html`<article class="card">
    <h3>Round trip</h3>
    <p class="big"><b>${known ? figure(Math.round(now)) : '–'}</b> <span>ms</span></p>
    ${sparkline({ label: known ? `Round trip to the exit, now ${Math.round(now)} ms` : 'No round trip yet', values: roundTripMs, room })}
    <p class="state">${known ? html`to the exit and back` : 'nothing measured yet'}</p>
    <p class="what">${delayMs !== null && html`of which the six mixes hold a packet ${figure(6 * delayMs)} ms on average`}</p>
  </article>`;
}

function surbsCard({ surbs }: Status): Html {
  const { stock, target } = surbs;
  const share = target > 0 ? stock / target : 0;
  const low = target > 0 && share < 0.5;
  const label = `${figure(stock)} of ${figure(target)} reply blocks at the exit`;
  return html`<article class="card">
    <h3>Reply blocks</h3>
    <p class="big"><b>${figure(Math.round(stock))}</b> <span>of ${figure(Math.round(target))}</span></p>
    ${bar(label, share / 1.25, target > 0 ? 0.8 : undefined)}
    <p class="state">${target === 0 ? html`<span class="tag idle">none</span> no session` : low ? html`<span class="tag fair">low</span> replies slow down` : html`<span class="tag good">in stock</span> at the exit`}</p>
    <p class="what">Each lets the exit send one reply without knowing you. ${figure(surbs.used)} used, ${figure(surbs.expired)} expired.</p>
  </article>`;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
