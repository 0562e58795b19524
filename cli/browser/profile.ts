/**
 * The folder of one run: profile, first page, and the browser's temporary files.
 * @module
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeTemporaryFolder, shareTemporaryFolder } from '../localnet/temporary-folder.ts';
import type { Browser, LaunchPlan } from './browser.ts';

export interface RunFolder {
  readonly dir: string;
  readonly profile: string;
  readonly temporary: string;
  readonly startPage: string;
  readonly downloads: string;
}

/** Makes the folder, for its owner alone. Throws ENVIRONMENT. */
export async function makeRunFolder(): Promise<RunFolder> {
  const dir = await makeTemporaryFolder();
  const [profile, temporary, page] = [join(dir, 'profile'), join(dir, 'tmp'), join(dir, 'start.html')];
  for (const folder of [profile, temporary]) await mkdir(folder, { mode: 0o700 });
  return { dir, profile, temporary, startPage: pathToFileURL(page).href, downloads: downloadsFolder() };
}

/** Writes what the browser finds there. */
export async function fillRunFolder({ dir }: RunFolder, browser: Browser, plan: LaunchPlan): Promise<void> {
  await writeFile(join(dir, 'start.html'), startPage(browser.name), { mode: 0o600 });
  for (const [name, text] of Object.entries(browser.files(plan))) {
    const path = join(plan.profile, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text, { mode: 0o600 });
  }
}

/** The browser may outlive us, if we are killed: its profile must not be removed under it. */
export async function noteProcess({ dir }: RunFolder, pid: number | undefined): Promise<void> {
  if (pid !== undefined) await shareTemporaryFolder(dir, pid); // it leads a group of its own
}

/** The last helper of a browser may still write while it is ended. */
export async function removeRunFolder({ dir }: RunFolder): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Not in the profile, which goes away. */
function downloadsFolder(): string {
  const folder = join(homedir(), 'Downloads');
  return existsSync(folder) ? folder : homedir();
}

/** The first page of `browser`: what holds here, and what does not. It asks for nothing: no script, no picture, no font. */
export function startPage(browser: Browser['name']): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>mixsocks browser</title>
<style>
  body { font: 1.05rem/1.55 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1.5rem }
  h1 { font-size: 1.7rem } h2 { font-size: 1.2rem; margin-top: 2rem } li { margin: .4rem 0 }
</style>
<h1>This ${browser} uses the mixnet</h1>
<p>Its connections go through mixsocks and nothing else, names included. It has a profile of its own, which is removed when it
is closed, and an identity of its own in the mixnet, which no other program shares.</p>
<h2>What is switched off</h2>
<ul>${items(switchedOff(browser))}</ul>
<h2>What this does not do</h2>
<p><strong>It is no Tor Browser.</strong> It hides where you are. It does not hide which browser you use, and sites can recognise
it.</p>
<ul>${items(LIMITS)}</ul>
<p>mixsocks is research software. What it protects against, and what not, stands in docs/THREAT-MODEL.md.</p>
</html>
`;
}

function switchedOff(browser: Browser['name']): string[] {
  const webrtc =
    browser === 'Firefox'
      ? 'WebRTC: calls in the browser do not work.'
      : 'UDP, so calls in the browser (WebRTC) mostly do not work, and QUIC.';
  return [
    webrtc,
    'Looking up and connecting ahead of a click.',
    'Warnings about dangerous sites and downloads (Safe Browsing), which ask a service of the maker.',
    'Updates, synchronisation, telemetry and other requests of the browser itself.',
    'Positions, notifications, and extensions, which could change the proxy.',
  ];
}

const LIMITS = [
  'Fingerprints stay: fonts, the size of the screen, the time zone, the language and the graphics card tell browsers apart.',
  'All sites of this window share cookies and one identity in the mixnet. Whoever runs several of them can join your visits. ' +
    'Close the browser and open it again for a new identity.',
  'Where you log in you are known.',
  'The exit sees what is not encrypted. Use https.',
  'Other programs do not use this proxy: files that you download and open, links that open a mail program, printers.',
  'What you save stays where you saved it. The profile lies on disk while the browser runs.',
  'A site can ask for camera and microphone. What you allow, it gets.',
];

const items = (texts: readonly string[]): string => texts.map((text) => `<li>${text}</li>`).join('\n');
