/**
 * Line plots as SVG text: axes, error bars, points to compare with, a legend. Nothing else.
 * @module
 */

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** Half length of the error bar. */
  readonly error?: number;
}

export interface PlotSeries {
  readonly name: string;
  /** A line through small dots, or hollow diamonds without a line (a reference). */
  readonly style: 'line' | 'reference';
  readonly points: readonly PlotPoint[];
  readonly colour?: string;
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** The x axis is logarithmic. */
  readonly logX?: boolean;
  readonly xRange: readonly [number, number];
  readonly yRange: readonly [number, number];
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  readonly series: readonly PlotSeries[];
}

const WIDTH = 640;
const HEIGHT = 400;
const MARGIN = { left: 64, right: 150, top: 40, bottom: 52 };
/** Okabe and Ito's colours, told apart by colour-blind readers too. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const INK = '#222222';
const GRID = '#dddddd';

/** Places points of the plot on the page; what is beyond the axes stays on their end. */
class Page {
  readonly #plot: Plot;

  constructor(plot: Plot) {
    this.#plot = plot;
  }

  x(value: number): string {
    const scale = this.#plot.logX === true ? Math.log : (x: number) => x;
    const [low, high] = this.#plot.xRange;
    return pixel(MARGIN.left + share(scale(value), scale(low), scale(high)) * (WIDTH - MARGIN.left - MARGIN.right));
  }

  y(value: number): string {
    const [low, high] = this.#plot.yRange;
    return pixel(HEIGHT - MARGIN.bottom - share(value, low, high) * (HEIGHT - MARGIN.top - MARGIN.bottom));
  }
}

function share(value: number, low: number, high: number): number {
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function line(x1: string, y1: string, x2: string, y2: string, colour: string): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}"/>`;
}

function text(x: string, y: string, content: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more}>${escaped(content)}</text>`;
}

function axes(plot: Plot, page: Page): string[] {
  const [left, right] = [page.x(plot.xRange[0]), page.x(plot.xRange[1])];
  const [bottom, top] = [page.y(plot.yRange[0]), page.y(plot.yRange[1])];
  const middleX = pixel((Number(left) + Number(right)) / 2);
  const middleY = pixel((Number(top) + Number(bottom)) / 2);
  const below = pixel(Number(bottom) + 18);
  return [
    ...plot.yTicks.map((tick) => line(left, page.y(tick), right, page.y(tick), GRID)),
    ...plot.yTicks.map((tick) =>
      text(pixel(Number(left) - 8), pixel(Number(page.y(tick)) + 4), `${tick}`, 'text-anchor="end"'),
    ),
    ...plot.xTicks.map((tick) => line(page.x(tick), bottom, page.x(tick), pixel(Number(bottom) + 4), INK)),
    ...plot.xTicks.map((tick) => text(page.x(tick), below, `${tick}`, 'text-anchor="middle"')),
    line(left, bottom, right, bottom, INK),
    line(left, bottom, left, top, INK),
    text(middleX, pixel(HEIGHT - 12), plot.xLabel, 'text-anchor="middle"'),
    text('16', middleY, plot.yLabel, `text-anchor="middle" transform="rotate(-90 16 ${middleY})"`),
    text(middleX, '22', plot.title, 'text-anchor="middle" font-size="15" font-weight="bold"'),
  ];
}

function errorBar({ x, y, error = 0 }: PlotPoint, page: Page, colour: string): string {
  return line(page.x(x), page.y(y - error), page.x(x), page.y(y + error), colour);
}

function diamond(x: string, y: string, colour: string): string {
  const [cx, cy] = [Number(x), Number(y)];
  const corners = [
    [cx, cy - 6],
    [cx + 6, cy],
    [cx, cy + 6],
    [cx - 6, cy],
  ];
  const points = corners.map((corner) => corner.map(pixel).join(',')).join(' ');
  return `<polygon points="${points}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
}

function dot(x: string, y: string, colour: string): string {
  return `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`;
}

function curve(series: PlotSeries, page: Page, colour: string): string[] {
  if (series.style === 'reference') return series.points.map(({ x, y }) => diamond(page.x(x), page.y(y), colour));
  const path = series.points.map(({ x, y }) => `${page.x(x)},${page.y(y)}`).join(' ');
  return [
    ...series.points.filter(({ error }) => error !== undefined).map((point) => errorBar(point, page, colour)),
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
    ...series.points.map(({ x, y }) => dot(page.x(x), page.y(y), colour)),
  ];
}

function legend(series: PlotSeries, place: number, colour: string): string[] {
  const x = WIDTH - MARGIN.right + 18;
  const y = MARGIN.top + 10 + place * 20;
  const mark = series.style === 'reference' ? diamond : dot;
  return [mark(pixel(x), pixel(y - 4), colour), text(pixel(x + 12), pixel(y), series.name)];
}

/** The plot as a whole SVG document. */
export function svgPlot(plot: Plot): string {
  const page = new Page(plot);
  const colourOf = (series: PlotSeries, i: number) =>
    series.colour ?? (series.style === 'reference' ? INK : COLOURS[i % COLOURS.length]!);
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...axes(plot, page),
    ...plot.series.flatMap((series, i) => curve(series, page, colourOf(series, i))),
    ...plot.series.flatMap((series, i) => legend(series, i, colourOf(series, i))),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="${INK}">`;
  return `${head}\n<title>${escaped(plot.title)}</title>\n${parts.join('\n')}\n</svg>\n`;
}
