/**
 * Streams through the proxies of a network, by curl on their hosts, one after another as long as the test goes: each byte is compared.
 * @module
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { patternSha256 } from '../support/web.ts';
import type { HostedRole } from './role.ts';
import { PORTS } from './role.ts';
import type { Site } from './site.ts';

export interface Stream {
  readonly proxy: string;
  readonly path: string;
  /** From the first download on, s. */
  readonly fromS: number;
  readonly toS: number;
  readonly bytes: number;
  /** What curl said; empty when every byte came. */
  readonly fault: string;
}

export type Scheme = 'socks5h' | 'http';

/** Fetches `path` of the site through `proxy`; what went wrong, empty when every byte came, and how many came. */
export async function fetchThrough(
  proxy: HostedRole,
  site: Site,
  path: string,
  { family = 4, scheme = 'socks5h' }: { family?: 4 | 6; scheme?: Scheme } = {},
): Promise<{ fault: string; bytes: number }> {
  const through = `${scheme}://127.0.0.1:${PORTS.socks}`;
  // no limit of its own: a stream that stands still ends by the proxy, or fails the test as one that hangs
  const args = ['-sS', '--connect-timeout', '170', '--noproxy', '', '-x', through, site.url(family, path)];
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
  const [, length = '0', seed = ''] = /(\d+)\?(.*)$/.exec(path) ?? [];
  const isRight = hash.digest('hex') === patternSha256(Number(length), seed);
  return { fault: isRight ? '' : `${bytes} bytes, wrong hash`, bytes };
}
