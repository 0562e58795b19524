/**
 * The mixing pool: how many packets hide each other in a mix, and what to think of that.
 * @module
 */
import type { Status } from '../../../../lib/access/status/status.ts';
import { dots } from './chart.ts';
import { type Html, html } from './html.ts';
import { count, figure, percent, time } from './words.ts';

export function mixingSection({ mixing }: Status): Html | undefined {
  if (mixing === null) return undefined;
  const { poolPackets, othersPackets, enough, aloneShare, perUserEnough } = mixing;
  const ownPackets = Math.max(0, poolPackets - othersPackets);
  const label = `About ${figure(poolPackets)} packets wait in a mix, ${figure(ownPackets)} of them yours`;
  return html`<section aria-labelledby="mixing">
    <h2 id="mixing">Mixing</h2>
    <p class="lead">Packets that wait in a mix at the same time hide each other. The more, the better.</p>
    <div class="card mixing${!enough ? ' warn' : perUserEnough ? '' : ' mind'}">
      <div>
        <p class="big"><b>${figure(poolPackets)}</b> <span>packets in a mix</span></p>
        ${dots(label, poolPackets, ownPackets)}
        <p class="note"><span class="swatch own"></span> ${figure(ownPackets)} yours <span class="swatch other"></span> ${figure(othersPackets)} cover of nodes and exits</p>
      </div>
      <div>
        ${enough ? verdictGood(aloneShare) : verdictBad(mixing)}
        ${!perUserEnough && verdictPerUser(mixing)}
        <p class="what">An estimate from the clocks this proxy knows of: its own, and the cover of the network’s nodes and exits. Other users come on top; nobody can see how many they are.</p>
      </div>
    </div>
  </section>`;
}

function verdictGood(aloneShare: number): Html {
  return html`<p><span class="tag good">enough</span> Only ${percent(aloneShare)} of packets pass a mix without meeting another.</p>`;
}

function verdictBad(mixing: NonNullable<Status['mixing']>): Html {
  return html`<p><span class="tag bad">few</span> <strong>As far as can be seen from here, this network hides little.</strong></p>
    <p>${percent(mixing.aloneShare)} of packets pass a mix without meeting another. With ${count(mixing.proxiesWanted, 'more user')}, or a mean delay of ${time(mixing.delayWantedMs)} at each mix, it would be next to none.</p>`;
}

/** Not a matter of how many users there are. */
function verdictPerUser({ perUserPackets, perUserDelayMs }: NonNullable<Status['mixing']>): Html {
  return html`<p><span class="tag fair">short delay</span> Of each user ${Number(perUserPackets.toFixed(2))} packets are in a layer at a time. Loopix advises 2 or more, so that two busy users cannot be told apart: <code>--mean-delay-ms ${perUserDelayMs}</code>, set by who runs the network, does it.</p>`;
}
