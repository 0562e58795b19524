/**
 * The command line of `mixsocks browser`.
 * @module
 */
import { z } from 'zod';
import { nearestName } from '../../lib/config/nearest-name.ts';
import { MixError } from '../../lib/core/errors.ts';
import { proxyOptions, startOptions } from '../proxy-use/options.ts';
import type { Browser } from './browser.ts';

export const BrowserConfig = z.strictObject({
  firefox: z.boolean().default(false).describe('open Firefox'),
  chromium: z.boolean().default(false).describe('open Chromium, or Chrome'),
  ...proxyOptions,
  ...startOptions,
});

export type BrowserConfig = z.infer<typeof BrowserConfig>;

/** The browser that was asked for. Throws USAGE when both were. */
export function wantedBrowser({
  firefox,
  chromium,
}: Pick<BrowserConfig, 'firefox' | 'chromium'>): Browser['name'] | undefined {
  if (firefox && chromium) throw new MixError('USAGE', 'give one of --firefox and --chromium');
  if (firefox) return 'Firefox';
  return chromium ? 'Chromium' : undefined;
}

/** The page and the browser's own options among what stands behind the options of the command. Throws USAGE. */
export function splitWords(words: readonly string[]): { readonly url: string | undefined; readonly options: string[] } {
  const options = words.filter((word) => word.startsWith('-'));
  const [page, ...more] = words.filter((word) => !word.startsWith('-'));
  if (more.length > 0)
    throw new MixError('USAGE', `one page can be opened at a time, and '${more[0]}' is a second one`);
  return { url: page === undefined ? undefined : pageUrl(page), options };
}

/** A page of the web; a name without a scheme means HTTPS. Others could reach files, or settings of the browser. */
function pageUrl(text: string): string {
  const full = /^[a-z][a-z0-9+.-]*:(?!\d)/i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url.href;
  throw new MixError('USAGE', `'${text}' is no page of the web: give an http:// or https:// URL`);
}

/** Throws USAGE for an option that is not known to leave proxy, profile and sandbox alone. */
export function checkOptions(options: readonly string[], browser: Browser): void {
  for (const option of options) {
    const name = option.replace(/=.*$/s, '');
    if (browser.options.includes(name)) continue;
    const near = nearestName(name, browser.options);
    const hint = near === undefined ? `these can be: ${browser.options.join(' ')}` : `did you mean '${near}'?`;
    throw new MixError('USAGE', `'${name}' cannot be given to ${browser.name} here; ${hint}`);
  }
}
