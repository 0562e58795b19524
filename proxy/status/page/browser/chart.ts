/**
 * Small pictures as SVG. Geometry is in attributes, colour in the style sheet: the page's policy allows no inline style.
 * @module
 */
import { type Html, html } from './html.ts';

export interface SparklineOptions {
  /** What the picture shows, in words, for those who cannot see it. */
  readonly label: string;
  readonly values: readonly number[];
  /** Values the picture has room for; fewer leave the left side empty. */
  readonly room: number;
  /** A dashed line at this value. */
  readonly mark?: number;
}

const WIDTH = 240;
const HEIGHT = 44;
/** Distance of the highest value from the upper edge. */
const HEADROOM = 0.15;

/** A line of the last values, newest at the right. */
export function sparkline({ label, values, room, mark }: SparklineOptions): Html {
  const top = Math.max(...values, mark ?? 0, 1e-9) * (1 + HEADROOM);
  const y = (value: number) => round(HEIGHT - 1 - (value / top) * (HEIGHT - 2));
  const x = (index: number) => round(WIDTH - ((values.length - 1 - index) * WIDTH) / Math.max(1, room - 1));
  const points = values.map((value, index) => `${x(index)},${y(value)}`).join(' ');
  const area = values.length < 2 ? '' : `${x(0)},${HEIGHT} ${points} ${WIDTH},${HEIGHT}`;
  return html`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">
    <polygon points="${area}"/>
    <line class="mark${mark === undefined ? ' none' : ''}" x1="0" x2="${WIDTH}" y1="${y(mark ?? 0)}" y2="${y(mark ?? 0)}"/>
    <polyline points="${points}"/>
  </svg>`;
}

/** A bar filled to `share`, with a tick at `mark`, both 0 to 1. */
export function bar(label: string, share: number, mark?: number): Html {
  const width = round(Math.min(1, Math.max(0, share)) * 100);
  const at = round(Math.min(1, Math.max(0, mark ?? 0)) * 100);
  return html`<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="${label}">
    <rect class="track" width="100" height="4"/><rect class="fill" width="${width}" height="4"/>
    <line class="tick${mark === undefined ? ' none' : ''}" x1="${at}" x2="${at}" y1="0" y2="4"/>
  </svg>`;
}

export interface Bucket {
  readonly value: number;
  /** What stands under its column; may be empty. */
  readonly edge: string;
  /** In words, for those who point at it or cannot see it. */
  readonly title: string;
}

/** Where the columns stand, and the words under them. */
const BASE_Y = 40;
const EDGE_Y = 51;
/** What is under the last column must not run over the picture's side. */
const LAST_EDGE_WIDTH = 26;

/** Columns, one per bucket, as high as its part of the largest; nothing has a height of nothing. */
export function histogram(label: string, buckets: readonly Bucket[]): Html {
  const top = Math.max(...buckets.map(({ value }) => value), 1);
  const width = WIDTH / Math.max(1, buckets.length);
  const described = [label, ...buckets.filter(({ value }) => value > 0).map(({ title }) => title)].join('; ');
  return html`<svg class="histogram" viewBox="0 0 ${WIDTH} 54" role="img" aria-label="${described}">
    ${buckets.map(({ value, edge, title }, i) => {
      const height = value === 0 ? 0 : round(Math.max(1.5, (value / top) * (BASE_Y - 2)));
      const x = round(i * width + 1);
      return html`<g><title>${title}</title><rect class="slot" x="${x}" y="0" width="${round(width - 2)}" height="${BASE_Y}" rx="2"/><rect class="fill" x="${x}" y="${round(BASE_Y - height)}" width="${round(width - 2)}" height="${height}" rx="1.5"/><text x="${round(Math.min(i * width + width / 2, WIDTH - LAST_EDGE_WIDTH / 2))}" y="${EDGE_Y}" text-anchor="middle">${edge}</text></g>`;
    })}
  </svg>`;
}

/** `count` dots in rows of ten, the first `own` of them marked as ours, the last one drawn as far as the fraction goes. */
export function dots(label: string, count: number, own: number): Html {
  const shown = Math.min(40, Math.ceil(count));
  const rows = Math.max(1, Math.ceil(shown / 10));
  return html`<svg class="dots" viewBox="0 0 120 ${rows * 12}" role="img" aria-label="${label}">
    ${Array.from({ length: Math.max(10, rows * 10) }, (_, i) => {
      const part = round(Math.min(1, Math.max(0, count - i)) * 4.5);
      const kind = i + 0.5 < own ? 'own' : 'other';
      return html`<circle class="slot" cx="${(i % 10) * 12 + 6}" cy="${Math.floor(i / 10) * 12 + 6}" r="4.5"/><circle class="${kind}" cx="${(i % 10) * 12 + 6}" cy="${Math.floor(i / 10) * 12 + 6}" r="${part}"/>`;
    })}
  </svg>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
