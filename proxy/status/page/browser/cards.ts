/**
 * Streams, the time it takes to open one, and reply blocks: one card each.
 * @module
 */
import type { Status } from '../../../../lib/access/status/status.ts';
import type { History } from '../history.ts';
import { bar, histogram, sparkline } from './chart.ts';
import { type Html, html } from './html.ts';
import { bytes, count, figure, time } from './words.ts';

export function cardsSection(status: Status, history: History): Html {
  return html`<section aria-labelledby="use">
    <h2 id="use">Use</h2>
    <div class="grid cards">
      ${streamsCard(status, history)}
      ${openingCard(status)}
      ${surbsCard(status)}
    </div>
  </section>`;
}

function streamsCard({ streams }: Status, history: History): Html {
  const refused = Object.values(streams.refused).reduce((sum, times) => sum + times, 0);
  const down = history.deliveredBytes;
  const rate = (values: readonly number[]) => `${bytes(mean(values.slice(-3)))}/s`;
  return html`<article class="card">
    <h3>Streams</h3>
    <p class="big"><b>${streams.open}</b> <span>open</span></p>
    ${sparkline({ label: `Bytes to you per second, now ${rate(down)}`, values: down, room: history.room })}
    <p class="state">${rate(down)} down, ${rate(history.sentBytes)} up</p>
    <p class="what">${count(streams.opened, 'stream')} so far${streams.abandoned > 0 && html`, ${streams.abandoned} given up`}${refused > 0 && html`, ${refused} refused (<a href="#troubles">why</a>)`}</p>
  </article>`;
}

/** From request to success, of the last few hundred. */
function openingCard({ streams, sessions, network }: Status): Html {
  const { upperMs, counts, medianMs, p90Ms } = streams.opening;
  const requests = counts.reduce((sum, one) => sum + one, 0);
  const buckets = counts.map((value, i) => ({
    value,
    edge: edgeOf(upperMs, i),
    title: bucketTitle(upperMs, value, i),
  }));
  return html`<article class="card">
    <h3>Time to open a connection</h3>
    <p class="big">${medianMs === null ? html`<b>–</b> <span>no request yet</span>` : html`<b>${time(medianMs)}</b> <span>for half of them</span>`}</p>
    ${histogram(requests === 0 ? 'No request yet' : `How long ${count(requests, 'request')} took to open`, buckets)}
    <p class="state">${p90Ms === null ? 'Each bar will count requests that took so long.' : html`9 of 10 within ${time(p90Ms)}; last ${count(requests, 'request')}`}</p>
    <p class="what">${roundTrip(sessions)}${network.meanDelayMs !== null && html`The six mixes of a round trip hold a packet ${time(6 * network.meanDelayMs)} on average.`}</p>
  </article>`;
}

function roundTrip(sessions: Status['sessions']): string {
  const slowestMs = Math.max(0, ...sessions.map((session) => session.roundTripMs));
  return slowestMs > 0 ? `To the exit and back now: ${time(slowestMs)}. ` : '';
}

/** The upper bound under the bar, for every other bar: all would not fit. */
function edgeOf(upperMs: readonly (number | null)[], i: number): string {
  const upper = upperMs[i] ?? null;
  if (upper === null) return `> ${time(upperMs[i - 1] ?? 0)}`;
  return i % 2 === 0 && i < upperMs.length - 2 ? time(upper) : '';
}

function bucketTitle(upperMs: readonly (number | null)[], value: number, i: number): string {
  const upper = upperMs[i] ?? null;
  const bound = upper === null ? `more than ${time(upperMs[i - 1] ?? 0)}` : `up to ${time(upper)}`;
  return `${count(value, 'request')}: ${bound}`;
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
