/**
 * The version of this program, from package.json.
 * @module
 */
import { readFileSync } from 'node:fs';

/** Above `lib/` in the source tree, above `dist/lib/` in a build. */
const PLACES = ['../package.json', '../../package.json'];

export const VERSION: string = readVersion();

function readVersion(): string {
  for (const place of PLACES) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (name === 'mixsocks' && typeof version === 'string') return version;
    } catch {
      // not there: the next place
    }
  }
  return 'unknown';
}
