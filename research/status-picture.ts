/**
 * Takes the picture of the status page in the documents: `npx tsx research/status-picture.ts [--seconds N] [FILE]` (build
 * first; needs a Chromium, and a machine that does nothing else, since the page shows how late packets leave).
 * @module
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { inScope, print } from '../bench/harness/scope.ts';
import { Browser, type Page } from '../test/support/browser.ts';
import { findChromium } from '../test/support/installed-browsers.ts';
import { type Scope, TestNetwork } from '../test/support/localnet.ts';
import { curl, startWeb } from '../test/support/web.ts';

const WIDTH = 1160;
const SCALE = 2;
/** A page, and every fifth time a larger file. */
const SIZES = [8_000, 8_000, 12_000, 8_000, 250_000];
/** Downloads under way that long are in the curves. */
const DOWNLOAD_SHOWS_MS = 2_500;
const PAUSES_MS = [900, 2_300, 600, 2_900, 1_700, 1_300];

/** As one person uses it, until the time is over. */
async function useLightly(request: (bytes: number) => void, seconds: number): Promise<void> {
  const endMs = performance.now() + 1000 * seconds;
  for (let i = 0; performance.now() < endMs; i++) {
    request(SIZES[i % SIZES.length] as number);
    await sleep(PAUSES_MS[i % PAUSES_MS.length]);
  }
}

/** A page of the right width, in light colours, and as high as what is on it. */
async function openPage(scope: Scope, url: string): Promise<Page> {
  const page = await Browser.launch(scope, findChromium() ?? '').newPage();
  const resize = (height: number) =>
    page.send('Emulation.setDeviceMetricsOverride', { width: WIDTH, height, deviceScaleFactor: SCALE, mobile: false });
  const light = [{ name: 'prefers-color-scheme', value: 'light' }];
  await page.send('Emulation.setEmulatedMedia', { features: light });
  await resize(900);
  await page.goto(url);
  await resize(Number(await page.evaluate('Math.ceil(document.documentElement.scrollHeight)')));
  return page;
}

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '75' } },
  allowPositionals: true,
});
const file = positionals[0] ?? 'docs/status.png';
await inScope(async (scope) => {
  const [network, web] = [await TestNetwork.start(scope, ['--socks-port', '1080']), await startWeb(scope)];
  const request = (bytes: number) => void curl(network.socks, [`${web.url}/bytes/${bytes}`]);
  await useLightly(request, Number(values.seconds));
  const page = await openPage(scope, network.ready.status);
  for (const bytes of [600_000, 400_000]) request(bytes);
  await page.until('/[1-9] open/.test(document.body.innerText)');
  await sleep(DOWNLOAD_SHOWS_MS);
  writeFileSync(file, await page.screenshot());
  const { lateness } = await network.status();
  print(`${file}; packets left at most ${lateness?.p99Ms} ms late, 99 of 100`);
});
process.exit();
