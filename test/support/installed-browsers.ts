/**
 * The browsers of this machine, for tests.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { isExecutable } from '../../cli/browser/find.ts';

const CHROMIUM = {
  names: ['chromium', 'chromium-browser', 'google-chrome'],
  packages: ['chromium', 'fonts-dejavu-core'],
};
const FIREFOX = { names: ['firefox-esr', 'firefox'], packages: ['firefox-esr'] };
type Installable = typeof CHROMIUM;

const INSTALL_TIMEOUT_MS = 480_000;

function inPath({ names }: Installable): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

/** The browser's path; that there is none is said aloud. */
export const findChromium = (): string | undefined => find(CHROMIUM);
export const findFirefox = (): string | undefined => find(FIREFOX);

function find(browser: Installable): string | undefined {
  const found = inPath(browser);
  const [name = ''] = browser.names;
  if (found === undefined) process.stderr.write(`NO ${name.toUpperCase()} HERE: what needs it is NOT TESTED\n`);
  return found;
}

/** On a Debian system root installs the browsers that are missing, which takes minutes. */
export function installBrowsers(): void {
  if (process.getuid?.() !== 0) return;
  for (const browser of [CHROMIUM, FIREFOX]) if (inPath(browser) === undefined) install(browser.packages);
}

function install(packages: readonly string[]): void {
  const options = {
    stdio: 'ignore',
    timeout: INSTALL_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  } as const;
  const apt = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=240', ...packages];
  try {
    try {
      execFileSync('apt-get', apt, options);
    } catch {
      execFileSync('apt-get', ['update'], options);
      execFileSync('apt-get', apt, options);
    }
  } catch {
    // `find` says so.
  }
}
