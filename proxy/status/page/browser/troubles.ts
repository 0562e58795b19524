/**
 * "Is it me?": what was refused, slow or broken off in the last minutes, where the cause lies and what to do. The words are
 * those of the status.
 * @module
 */
import type { Status } from '../../../../lib/access/status/status.ts';
import { type Html, html } from './html.ts';
import { duration } from './words.ts';

type Trouble = Status['troubles']['reasons'][number];

export function troublesSection({ troubles }: Status): Html {
  const { verdict, reasons } = troubles;
  return html`<section aria-labelledby="troubles">
    <h2 id="troubles">Is it me?</h2>
    <p class="lead">${verdict}</p>
    ${reasons.length > 0 && html`<ul class="troubles">${reasons.map(row)}</ul>`}
  </section>`;
}

function row({ where, words, remedy, what, secondsAgo }: Trouble): Html {
  const mine = where === 'this machine' || where === 'the program';
  return html`<li>
      <p><span class="tag ${mine ? 'fair' : 'idle'}">${where}</span> <b>${words}</b></p>
      <p class="what">${what.join(', ')}; last ${duration(secondsAgo)} ago</p>
      <p>What to do: ${remedy}.</p>
    </li>`;
}
