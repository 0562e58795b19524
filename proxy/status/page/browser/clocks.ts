/**
 * The clocks: what is set, what was measured, and whether the two agree.
 * @module
 */
import type { RateStatus, Status } from '../../../../lib/access/status/status.ts';
import type { History } from '../history.ts';
import { sparkline } from './chart.ts';
import { type Html, html } from './html.ts';
import { figure } from './words.ts';

const CLOCKS = [
  ['main', 'Packets out', 'to the exit, one per tick, full or empty'],
  ['reply', 'Replies in', 'from the exit, one per tick, full or empty'],
  ['loop', 'Loops', 'to yourself, to watch the paths'],
  ['drop', 'Decoys', 'to a random gateway, which discards them'],
] as const;

/** Seconds that `measured` is a mean over. */
const WINDOW_SECONDS = 10;
/** Standard deviations beyond which a clock is off: chance does that once in 16,000 looks. */
const DEVIATIONS = 4;

/** Whether the packets counted are as many as a Poisson clock of that rate sends, as far as chance allows. */
export function keepsTime({ set, measured }: RateStatus): boolean {
  return Math.abs(measured - set) <= DEVIATIONS * Math.sqrt(set / WINDOW_SECONDS) + 0.1;
}

export function clocksSection(status: Status, history: History): Html {
  return html`<section aria-labelledby="clocks">
    <h2 id="clocks">Traffic</h2>
    <p class="lead">Packets leave and arrive by the clock, whether you use the proxy or not. These lines should stay flat.</p>
    <div class="grid cards">${CLOCKS.map(([name, title, what]) => clockCard(title, what, status.rates[name], history[name], history.room))}</div>
    ${repliesLine(status)}
    ${latenessLine(status)}
    ${missedLine(status)}
  </section>`;
}

function clockCard(title: string, what: string, rate: RateStatus, values: readonly number[], room: number): Html {
  const label = `${title}: ${figure(rate.measured)} per second, clock set to ${figure(rate.set)}`;
  const clocked = rate.set > 0;
  return html`<article class="card">
    <h3>${title}</h3>
    <p class="big"><b>${figure(rate.measured)}</b> <span>per second</span></p>
    ${sparkline({ label, values, room, ...(clocked ? { mark: rate.set } : {}) })}
    <p class="state">${verdict(rate)}</p>
    <p class="what">${what}</p>
  </article>`;
}

function verdict(rate: RateStatus): Html {
  if (rate.set === 0) return html`<span class="tag idle">no clock</span> as data comes`;
  if (keepsTime(rate)) return html`<span class="tag good">on time</span> clock ${figure(rate.set)}/s`;
  return html`<span class="tag fair">off its clock</span> clock ${figure(rate.set)}/s`;
}

/** With one exit the card has said it. */
function repliesLine({ replies }: Status): Html | undefined {
  if (replies.length < 2) return undefined;
  const each = replies.map(({ requester, set, measured }) => `${requester} ${figure(measured)} of ${figure(set)}`);
  return html`<p class="note">Replies per second by exit, as measured and as asked for: ${each.join(', ')}.</p>`;
}

function latenessLine({ lateness }: Status): Html {
  if (lateness === null) return html`<p class="note">No packet has left yet.</p>`;
  return html`<p class="note">A packet leaves ${figure(lateness.p50Ms)} ms after its tick in the median, 99 of 100 within ${figure(lateness.p99Ms)} ms; the latest was ${figure(lateness.maxMs)} ms behind.</p>`;
}

function missedLine({ slotsMissed }: Status): Html | undefined {
  if (slotsMissed === 0) return undefined;
  return html`<p class="note">At ${figure(slotsMissed)} ticks no packet stood ready: gaps that can be seen from outside. If they keep coming, this machine is too busy for the rates of your class.</p>`;
}
