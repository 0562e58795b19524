/**
 * The paths: every node in its place on the way, coloured by the share of our loops through it that came back.
 * @module
 */
import type { NodeStatus, Status } from '../../../../lib/access/status/status.ts';
import { bar } from './chart.ts';
import { type Html, html } from './html.ts';
import { count, percent } from './words.ts';

type Grade = 'good' | 'fair' | 'bad' | 'unknown' | 'avoided';

/** Columns of nodes larger than this show squares without names. */
const NAMED_NODES = 10;

const GRADE_WORDS: Readonly<Record<Grade, string>> = {
  good: 'good',
  fair: 'loses packets',
  bad: 'bad',
  unknown: 'not yet known',
  avoided: 'avoided',
};

export function gradeOf({ health, excluded }: NodeStatus): Grade {
  if (excluded) return 'avoided';
  if (health === null) return 'unknown';
  if (health >= 0.9) return 'good';
  return health >= 0.6 ? 'fair' : 'bad';
}

export function pathsSection(status: Status): Html {
  const nodes = [...status.nodes].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const mixes = (layer: number) => nodes.filter((node) => node.layer === layer);
  const layerColumn = (layer: number) => column(`Mix layer ${layer}`, mixes(layer), 'none', meanHealth(mixes(layer)));
  const own = (node: NodeStatus) => node.name === status.gateway?.name;
  const gateways = nodes.filter((node) => node.role === 'gateway');
  return html`<section aria-labelledby="paths">
    <h2 id="paths">Paths</h2>
    <p class="lead">Each packet takes a random way from left to right; replies come back over ways of their own. ${summary(nodes)}</p>
    <div class="paths">
      ${column('Your gateway', gateways.filter(own), 'none yet')}
      ${layerColumn(1)}
      ${layerColumn(2)}
      ${layerColumn(3)}
      ${column(
        'Other gateways',
        gateways.filter((node) => !own(node)),
      )}
      ${column(
        'Exits',
        nodes.filter((node) => node.role === 'requester'),
      )}
    </div>
    <p class="note legend">${(['good', 'fair', 'bad', 'unknown', 'avoided'] as const).map((grade) => html`<span class="swatch ${grade}"></span>${GRADE_WORDS[grade]} `)}
      <span>The figure is the share of your loops through a node that came back lately; beside a layer, the mean of those in use. Loops do not reach exits and other gateways.</span></p>
  </section>`;
}

function summary(nodes: readonly NodeStatus[]): string {
  if (nodes.length === 0) return 'No node is known yet.';
  const of = (grade: Grade) => nodes.filter((node) => gradeOf(node) === grade).length;
  const said = [
    of('bad') > 0 && count(of('bad'), 'node is bad', 'nodes are bad'),
    of('fair') > 0 && count(of('fair'), 'node loses packets', 'nodes lose packets'),
    of('avoided') > 0 && count(of('avoided'), 'node is avoided', 'nodes are avoided'),
  ].filter((text) => text !== false);
  return said.length > 0 ? `Of ${count(nodes.length, 'node')}, ${said.join(', ')}.` : 'No node is known to be bad.';
}

/** Of those with evidence; avoided nodes carry nothing and do not count. */
export function meanHealth(nodes: readonly NodeStatus[]): number | undefined {
  const known = nodes.flatMap(({ excluded, health }) => (excluded || health === null ? [] : [health]));
  return known.length === 0 ? undefined : known.reduce((sum, health) => sum + health, 0) / known.length;
}

function column(title: string, nodes: readonly NodeStatus[], nothing = 'none', health?: number): Html {
  const named = nodes.length <= NAMED_NODES;
  return html`<div class="column">
    <h3>${title}${health !== undefined && html` <span>${percent(health)}</span>`}</h3>
    ${nodes.length === 0 ? html`<p class="what">${nothing}</p>` : html`<ul class="${named ? 'named' : 'squares'}">${nodes.map((node) => (named ? namedNode(node) : square(node)))}</ul>`}
  </div>`;
}

function story(node: NodeStatus): string {
  const loops = `${node.loopsReturned} of ${count(node.loopsSent, 'loop')} came back`;
  return `${node.name}: ${GRADE_WORDS[gradeOf(node)]}${node.loopsSent > 0 ? `; ${loops}` : ''}`;
}

function namedNode(node: NodeStatus): Html {
  const grade = gradeOf(node);
  return html`<li class="node ${grade}" title="${story(node)}"><b>${node.name}</b><span>${grade === 'avoided' ? 'avoided' : node.health === null ? '–' : percent(node.health)}</span>${bar(story(node), node.health ?? 0)}</li>`;
}

function square(node: NodeStatus): Html {
  return html`<li class="node ${gradeOf(node)}" title="${story(node)}"><span class="unseen">${story(node)}</span></li>`;
}
