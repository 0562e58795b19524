/**
 * The page's content as a function of the status. The server renders it once, so that it can be read without
 * scripts, and the browser again every second.
 * @module
 */
import type { Status } from '../../../../lib/access/status/status.ts';
import type { History } from '../history.ts';
import { cardsSection } from './cards.ts';
import { clocksSection } from './clocks.ts';
import { type Html, html } from './html.ts';
import { mixingSection } from './mixing.ts';
import { pathsSection } from './paths.ts';
import { bytes, duration, percent } from './words.ts';

/** Title of the window. */
export function titleOf(status: Status): string {
  return `${status.ready ? 'ready' : 'not ready'} · mixsocks`;
}

/** Everything inside `<main>`. */
export function view(status: Status, history: History): Html {
  return html`${head(status)}${troublesSection(status)}${clocksSection(status, history)}${pathsSection(status)}${mixingSection(status)}${cardsSection(status, history)}${details(status)}`;
}

/** What is in the way, said as one sentence; undefined when nothing is. */
export function obstacle({ ready, epoch, network, gateway, sessions }: Status): string | undefined {
  if (ready) return undefined;
  if (epoch === null) return 'There is no list of nodes yet: no directory authority has answered.';
  if (network.accessFault !== null) return sentence(network.accessFault);
  if (gateway === null) return 'No gateway could be used yet.';
  if (gateway.noCommonGroup)
    return `The gateway ${gateway.name} and this proxy have no key exchange in common: see --link-key-exchange.`;
  if (gateway.link !== 'up') return `The gateway ${gateway.name} does not answer.`;
  return sessions.length === 0 ? 'The network lists no exit that can be used.' : 'The exit has not answered yet.';
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function head(status: Status): Html {
  const { network, gateway, socks } = status;
  const trouble = obstacle(status);
  return html`<header class="hero">
    <div>
      <p class="brand">mixsocks</p>
      <h1 class="${status.ready ? 'good' : 'bad'}">${status.ready ? 'Ready' : 'Not ready'}</h1>
      ${gateway?.seesBothEnds === true && html`<p class="lead bad">The gateway ${gateway.name} is the only one of your exit: it sees both ends of your traffic, and can tell who uses which exit.</p>`}
      ${sources(status)}
      <p class="lead">${trouble ?? html`Programs on this machine can use SOCKS5 at <code>${socks}</code>.`}</p>
    </div>
    <dl>
      <div><dt>Network</dt><dd>${network.name}${network.clients === 'invited' && ', private: invited clients only'}</dd></div>
      <div><dt>Gateway</dt><dd>${gateway === null ? 'none' : html`${gateway.name}, link ${gateway.link}`}</dd></div>
      ${typeof gateway?.keyExchange === 'string' && html`<div><dt>Link’s key exchange</dt><dd>${gateway.keyExchange}</dd></div>`}
      <div><dt>Epoch</dt><dd>${status.epoch ?? 'unknown'}</dd></div>
      <div><dt>Class</dt><dd>${network.trafficClass}, ${network.downlink}</dd></div>
      <div><dt>Running</dt><dd>${duration(status.uptimeSeconds)}</dd></div>
    </dl>
  </header>`;
}

/** Who is behind with the list of nodes, and who has signed two. */
function sources({ directory: { lagging, signedTwice } }: Status): Html {
  return html`${lagging.map(({ words }) => html`<p class="lead">${words}</p>`)}${
    signedTwice !== null &&
    html`<p class="lead bad">Two lists of nodes for epoch ${signedTwice.epoch} were signed by ${signedTwice.authorities.join(', ')}: users may be shown different networks.</p>`
  }`;
}

function details(status: Status): Html {
  const { socks, sessions, network } = status;
  return html`<section aria-labelledby="how">
    <h2 id="how">How to use it</h2>
    <dl class="how">
      <div><dt>curl, git</dt><dd><code>curl -x socks5h://${socks} https://example.org/</code></dd></div>
      <div><dt>Firefox</dt><dd>Settings, Network Settings, automatic configuration URL: this page’s address with <a href="/proxy.pac"><code>/proxy.pac</code></a></dd></div>
      <div><dt>Chromium</dt><dd><code>chromium --proxy-server=socks5://${socks}</code></dd></div>
    </dl>
    <details>
      <summary>Sessions, packets, cryptography</summary>
      ${sessionsTable(sessions)}
      <p>Packets of ${network.payloadBytes ?? '?'} bytes wait ${network.meanDelayMs ?? '?'} ms on average at each of three mixes${network.mixingTarget ? html`: the network chooses that delay each epoch for ${network.mixingTarget} packets in a mix` : ''}. Version ${status.version}.</p>
      <p>${Object.entries(status.crypto).map(([primitive, library]) => html`<span class="pair">${primitive} ${library}</span> `)}</p>
    </details>
    <p class="note">The same for programs: <a href="/status.json">status.json</a>, <a href="/metrics">metrics</a>.</p>
  </section>`;
}

function sessionsTable(sessions: Status['sessions']): Html {
  if (sessions.length === 0) return html`<p>No session.</p>`;
  return html`<table>
    <thead><tr><th>Session</th><th>Exit</th><th>Streams</th><th>Round trip</th><th>Lost</th><th>Up</th><th>Down</th></tr></thead>
    <tbody>${sessions.map(
      (session) =>
        html`<tr><td>${session.state}</td><td>${session.requester}</td><td>${session.streamsOpen}</td><td>${Math.round(session.roundTripMs)} ms</td><td>${percent(session.lossRatio)}</td><td>${bytes(session.bytesSent)}</td><td>${bytes(session.bytesDelivered)}</td></tr>`,
    )}</tbody>
  </table>`;
}

type Trouble = Status['troubles']['reasons'][number];

/**
 * "Is it me?": what was refused, slow or broken off in the last minutes, where the cause lies and what to do. The words are those of the
 * status.
 */
function troublesSection({ troubles }: Status): Html {
  const { verdict, reasons } = troubles;
  return html`<section aria-labelledby="troubles">
    <h2 id="troubles">Is it me?</h2>
    <p class="lead">${verdict}</p>
    ${reasons.length > 0 && html`<ul class="troubles">${reasons.map(troubleRow)}</ul>`}
  </section>`;
}

function troubleRow({ where, words, remedy, what, secondsAgo }: Trouble): Html {
  const mine = where === 'this machine' || where === 'the program';
  return html`<li>
      <p><span class="tag ${mine ? 'fair' : 'idle'}">${where}</span> <b>${words}</b></p>
      <p class="what">${what.join(', ')}; last ${duration(secondsAgo)} ago</p>
      <p>What to do: ${remedy}.</p>
    </li>`;
}
