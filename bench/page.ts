/**
 * `page`: how long a browser takes for a page of many parts.
 *
 * Headless Chromium loads it through the proxy; the page itself reads when its load event came and asks for `/loaded`. Plain
 * HTTP, so at most six connections.
 * @module
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BenchError } from './harness/build.ts';
import { type Figure, failure, figure, median } from './harness/figure.ts';
import { lawOf } from './harness/law.ts';
import { FAST, Localnet, type Setting, STANDARD, stopProgram } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { inScope, progress, type Scope } from './harness/scope.ts';
import { contentChunks, type Route, startSite } from './harness/site.ts';
import { download, type Ends } from './harness/transfer.ts';

const PAGE_BYTES = 1_000_000;
const PARTS = 60;
const TIMEOUT_MS = 300_000;
/** The first connection and the page itself, the other connections and the first parts: nothing but these can be under way. */
const FIRST_ROUND_TRIPS = 4;
const BROWSER_START_MS = 3000;
const ROUND_TRIPS = 9;
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** Nothing but what the page asks for leaves the browser, and what goes to loopback takes the proxy too. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--proxy-bypass-list=<-loopback>',
];

/** Where a Chromium is; throws BenchError when there is none. */
export function chromiumPath(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = folders.flatMap((folder) => BROWSERS.map((name) => join(folder, name))).find(isExecutable);
  if (found === undefined) throw new BenchError(`no Chromium in PATH (looked for ${BROWSERS.join(', ')})`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const CLASSES = { standard: STANDARD, fast: FAST };

/** A traffic class and how replies come. */
export interface PageCase {
  readonly trafficClass: keyof typeof CLASSES;
  readonly downlink: Setting['downlink'];
}

export const PAGE_CASES: readonly PageCase[] = (['standard', 'fast'] as const).flatMap((trafficClass) =>
  (['steady', 'burst'] as const).map((downlink) => ({ trafficClass, downlink })),
);

export interface PageTerms extends RunTerms {
  readonly cases: readonly PageCase[];
}

export function pageRun({ quick, cases: all }: PageTerms): Run {
  const cases = quick ? all.slice(0, 1) : all;
  return async (build) => {
    const browser = chromiumPath();
    const figures: Figure[] = [];
    for (const { trafficClass, downlink } of cases) {
      const terms = { trafficClass, downlink };
      const setting = { ...CLASSES[trafficClass], downlink };
      progress(`page: class ${trafficClass}, ${downlink}`);
      figures.push(
        ...(await inScope(async (scope) => {
          const page = new Page(quick ? PAGE_BYTES / 10 : PAGE_BYTES, quick ? PARTS / 10 : PARTS);
          const { port } = await startSite(scope, page.route);
          const network = await Localnet.start(scope, build, setting);
          const ends = { socks: network.socks, sitePort: port };
          await download(ends, 1000, 60, 'warm-up');
          const roundTripSeconds = await roundTrip(ends);
          openBrowser(scope, browser, network.socks, `http://127.0.0.1:${port}/page`);
          return pageFigures(await page.loaded(), page.bytes, roundTripSeconds, setting, terms);
        })),
      );
    }
    return figures;
  };
}

/** Seconds, the median of a few: a request of hardly any bytes takes two, one to connect. */
async function roundTrip(ends: Ends): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const transfer = await download(ends, 1, 60, `round-trip-${i}`);
    if ('seconds' in transfer) seconds.push(transfer.seconds / 2);
  }
  return median(seconds);
}

/** The browser asks for nothing until it has started: that takes a second, and is none of ours. */
function openBrowser(scope: Scope, path: string, socks: string, url: string): void {
  const start = `data:text/html,<script>setTimeout(() => { location = '${url}' }, ${BROWSER_START_MS})</script>`;
  const args = [...FLAGS, `--user-data-dir=${scope.testdir()}`, `--proxy-server=socks5://${socks}`, start];
  const child = spawn(path, args, { stdio: 'ignore' });
  scope.teardown(() => stopProgram(child));
}

function pageFigures(
  result: PageResult,
  bytes: number,
  roundTripSeconds: number,
  setting: Setting,
  terms: Record<string, string>,
): Figure[] {
  if ('fault' in result) return [failure('page.load', 's', result.fault, terms)];
  const lawfulSeconds = bytes / lawOf(setting).down;
  const transferSeconds = result.seconds - FIRST_ROUND_TRIPS * roundTripSeconds;
  return [
    figure('page.load', 's', result.seconds, terms),
    figure('page.load.lawful', 's', lawfulSeconds, terms),
    figure('page.load.share', 'ratio', lawfulSeconds / result.seconds, terms),
    figure('page.roundTrip', 's', roundTripSeconds, terms),
    figure('page.load.stretch', 'ratio', transferSeconds / lawfulSeconds, terms),
  ];
}

type PageResult = { readonly seconds: number } | { readonly fault: string };

/** A page of images of equal size, which tells when all have come, or that one has not. */
class Page {
  #done: (result: PageResult) => void = () => {};
  readonly #result = new Promise<PageResult>((resolve) => {
    this.#done = resolve;
  });
  readonly #html: string;

  /** `bytes` in `parts` images beside the page itself. */
  constructor(
    readonly bytes: number,
    readonly parts: number,
  ) {
    const images = Array.from({ length: parts }, (_, i) => `<img src="/part/${i}">`);
    const report = `addEventListener('load', () => setTimeout(() => {
      const { loadEventStart, navigationStart } = performance.timing;
      const parts = [...document.images].filter((one) => one.naturalWidth > 0).length;
      fetch('/loaded/' + (loadEventStart - navigationStart) + '/' + parts);
    }))`;
    this.#html = `<!doctype html><title>page</title><link rel="icon" href="data:,">${images.join('')}<script>${report}</script>`;
  }

  /** Resolves when the browser says so, or with a fault when it does not in time. */
  async loaded(): Promise<PageResult> {
    const timer = setTimeout(() => this.#done({ fault: `not loaded after ${TIMEOUT_MS / 1000} s` }), TIMEOUT_MS);
    const result = await this.#result;
    clearTimeout(timer);
    return result;
  }

  readonly route: Route = (path, response) => {
    const [, what, first = '', second = ''] = path.split('/');
    if (what === 'page') response.setHeader('Content-Type', 'text/html').end(this.#html);
    else if (what === 'part') response.setHeader('Content-Type', 'image/svg+xml').end(this.#image(first));
    else if (what === 'loaded') {
      response.end();
      const missing = this.parts - Number(second);
      this.#done(missing > 0 ? { fault: `${missing} parts did not come` } : { seconds: Number(first) / 1000 });
    } else return false;
    return true;
  };

  /** An image that a browser accepts, filled up with what does not compress. */
  #image(seed: string): string {
    const length = Math.floor(this.bytes / this.parts);
    const filling = Buffer.concat([...contentChunks(length, seed)]).toString('base64');
    const head = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><!--';
    return `${head}${filling.slice(0, length - head.length - 9)}--></svg>`;
  }
}
