/**
 * What the browsers that can be opened have in common.
 * @module
 */

/** What one run of a browser is made from. */
export interface LaunchPlan {
  /** Where it sends everything: a SOCKS5 port on loopback that asks for no login. */
  readonly relay: { readonly host: string; readonly port: number };
  /** Its profile, a folder for this run alone. */
  readonly profile: string;
  /** Where files go that the user saves. */
  readonly downloads: string;
  /** URL of the first page. */
  readonly startPage: string;
  /** What the user asked for besides. */
  readonly url?: string | undefined;
  /** Options of the user, checked by `optionsOf`. */
  readonly options: readonly string[];
}

export interface Browser {
  readonly name: 'Chromium' | 'Firefox';
  /** Its programs in PATH, the best first. */
  readonly programs: readonly string[];
  /** The same on macOS, where they are in no PATH. */
  readonly applications: readonly string[];
  /** Options that a user may add: none of them touches the network, the profile or the sandbox. */
  readonly options: readonly string[];
  /** Variables that it needs beside the user's: among them what keeps its reports of crashes, which hold its memory, in `temporary`. */
  environment(temporary: string): Readonly<Record<string, string>>;
  /** Files of the profile, by path within it. */
  files(plan: LaunchPlan): Readonly<Record<string, string>>;
  args(plan: LaunchPlan): string[];
  /** Folders with the rules of an administrator, which beat the profile; and the rules that may not be there. */
  readonly policies: { readonly folders: readonly string[]; readonly refused: RegExp };
  /** Options that undo what this is for, should a wrapper or a config file of the system add them. */
  readonly undoing: RegExp;
}

/** What is opened: the page that was asked for in front. A headless browser has one page. */
export function pagesOf({ url, startPage, options }: LaunchPlan): string[] {
  if (url === undefined) return [startPage];
  return options.some((option) => option.startsWith('--headless')) ? [url] : [url, startPage];
}
