import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { Browser } from '../../support/browser.ts';
import { noteDestination } from '../../support/destinations.ts';
import { type FrontNetwork, SITE } from './world.ts';

const IMAGES = 60;
const SIZE = { width: 800, height: 480 };
const SIDE = 40;
const image = (i: number) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${SIDE}"><circle cx="20" cy="20" r="18" fill="hsl(${i * 6},80%,50%)"/></svg>`;
const tags = Array.from({ length: IMAGES }, (_, i) => `<img width="${SIDE}" height="${SIDE}" src="/${i}.svg">`);
const PAGE = `<!doctype html><title>sixty</title><style>body{margin:0;height:${SIZE.height}px}</style>${tags.join('')}`;

/** Serves a page of sixty images; the paths that were asked for. */
async function servePage(t: Test): Promise<{ port: number; asked: Set<string> }> {
  const asked = new Set<string>();
  const server = createServer(({ url = '' }, response) => {
    asked.add(url);
    const index = /^\/(\d+)\.svg$/.exec(url)?.[1];
    if (index !== undefined) response.setHeader('Content-Type', 'image/svg+xml').end(image(Number(index)));
    else response.setHeader('Content-Type', 'text/html').end(url === '/' ? PAGE : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return { port, asked };
}

/** A page of sixty files in Chromium, by a name that this machine cannot resolve. */
export async function browsePage(t: Test, { network, dns }: FrontNetwork, chromium: string): Promise<void> {
  const { port, asked } = await servePage(t);
  const browser = Browser.launch(t, chromium, [`--proxy-server=socks5://${network.socks}`]);
  const page = await browser.newPage();
  await page.resize(SIZE.width, SIZE.height);
  await page.goto(`http://${SITE}:${port}/`);
  const drawn = '[...document.images].filter((one) => one.complete && one.naturalWidth > 0).length';
  t.equal(await page.evaluate(drawn), IMAGES, 'all images are drawn');
  t.equal([...asked].filter((url) => url.endsWith('.svg')).length, IMAGES, 'each was asked for');
  t.ok(dns.asked.includes(SITE), 'by a name that the exit resolved');
  const png = await page.screenshot();
  t.equal(png.toString('latin1', 1, 4), 'PNG');
  t.same([png.readUInt32BE(16), png.readUInt32BE(20)], [SIZE.width, SIZE.height], 'the size of the picture');
  t.ok(png.byteLength > 10_000, 'and something is on it');
  t.same(
    page.complaints.filter((text) => !text.includes('favicon')),
    [],
  );
}
