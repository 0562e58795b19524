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

/** Columns, one per value, as high as its part of the largest. */
export function columns(label: string, values: readonly number[]): Html {
  const top = Math.max(...values, 1e-9);
  const width = WIDTH / Math.max(1, values.length);
  return html`<svg class="columns" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">
    ${values.map((value, i) => {
      const height = round((value / top) * HEIGHT);
      return html`<rect x="${round(i * width + 1)}" y="${round(HEIGHT - height)}" width="${round(width - 2)}" height="${height}"/>`;
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
