/**
 * The version of this program, from package.json.
 * @module
 */
import { readFileSync } from 'node:fs';

/** Two folders up in the source tree, three in a build. */
const PACKAGE_JSON_URLS = ['../../package.json', '../../../package.json'];

export const VERSION: string = readVersion();

function readVersion(): string {
  for (const url of PACKAGE_JSON_URLS) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(url, import.meta.url), 'utf8'));
      if (name === 'mixsocks' && typeof version === 'string') return version;
    } catch {
      // not there: the next one
    }
  }
  return 'unknown';
}
