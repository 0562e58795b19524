/**
 * Streams through a network, by curl on the hosts of its proxies, as long as the test goes: each byte is compared.
 * @module
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { patternSha256 } from '../support/web.ts';
import { type HostedRole, PORTS } from './role.ts';
import type { Site } from './site.ts';

export type Scheme = 'socks5h' | 'http';

/** What became of a stream. */
export interface Fetched {
  readonly bytes: number;
  /** What curl said; empty when every byte came. */
  readonly fault: string;
}

/** Fetches `path` of the site through `proxy`. No limit of its own: what stands still ends by the proxy, or hangs the test. */
export async function fetchThrough(
  proxy: HostedRole,
  site: Site,
  path: string,
  { family = 4, scheme = 'socks5h' }: { family?: 4 | 6; scheme?: Scheme } = {},
): Promise<Fetched> {
  const through = `${scheme}://127.0.0.1:${PORTS.socks}`;
  const args = ['-sSN', '--connect-timeout', '170', '--noproxy', '', '-x', through, site.url(family, path)];
  const curl = proxy.host.spawn('curl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const hash = createHash('sha256');
  let bytes = 0;
  let said = '';
  curl.stdout?.on('data', (part: Buffer) => {
    bytes += part.byteLength;
    hash.update(part);
  });
  curl.stderr?.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  const [code] = (await once(curl, 'close')) as [number | null];
  if (code !== 0) return { fault: said.trim() || `curl ended with ${code}`, bytes };
  const seed = path.slice(path.indexOf('?') + 1);
  return { fault: hash.digest('hex') === patternSha256(bytes, seed) ? '' : `${bytes} bytes, wrong hash`, bytes };
}

export interface Stream extends Fetched {
  readonly proxy: string;
  readonly path: string;
  readonly seconds: number;
}

const DOWNLOAD_BYTES = 60_000;
/** After a failure, so that a proxy which is away is not asked all the time. */
const PAUSE_MS = 500;

/** Downloads through each proxy, one after another, and beside them one stream that goes on slowly until the end. */
export class Traffic {
  readonly streams: Stream[] = [];
  #ended = false;
  readonly #loops: Promise<void>[];

  constructor(
    readonly site: Site,
    proxies: readonly HostedRole[],
  ) {
    this.#loops = proxies.flatMap((proxy) => [
      this.#repeat(proxy, (count) => `/bytes/${DOWNLOAD_BYTES}?${proxy.name}-${count}`),
      this.#repeat(proxy, (count) => `/paced?${proxy.name}-${count}`),
    ]);
  }

  async #repeat(proxy: HostedRole, pathOf: (count: number) => string): Promise<void> {
    for (let count = 0; !this.#ended; count += 1) {
      const path = pathOf(count);
      const fromMs = performance.now();
      const fetched = await fetchThrough(proxy, this.site, path, { family: count % 2 === 0 ? 4 : 6 });
      const seconds = Math.round((performance.now() - fromMs) / 1000);
      this.streams.push({ proxy: proxy.name, path, seconds, ...fetched });
      if (fetched.fault !== '') await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Streams that broke or were refused, as lines. */
  broken(): string[] {
    const broken = this.streams.filter(({ fault }) => fault !== '');
    return broken.map(({ path, bytes, fault, seconds }) => `${path}: ${fault}, after ${bytes} bytes and ${seconds} s`);
  }

  /** Downloads of `proxy` that have come whole. */
  whole(proxy: string): number {
    return this.streams.filter((stream) => stream.proxy === proxy && stream.fault === '').length;
  }

  /** Lets every stream come to its end. */
  async finish(): Promise<void> {
    this.#ended = true;
    this.site.endPaced();
    await Promise.all(this.#loops);
  }
}
