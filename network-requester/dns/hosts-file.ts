/**
 * Names of the system's hosts file. The DNS resolver does not read it, and getaddrinfo, which does, blocks one of the
 * few threads that the process has for files as well: a handful of slow names would stop everything.
 * @module
 */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readTextFile } from '../../lib/core/text-file.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';

const WINDOWS_ROOT = process.env.SystemRoot ?? 'C:\\Windows';
const SYSTEM_HOSTS_FILE =
  process.platform === 'win32' ? join(WINDOWS_ROOT, 'System32', 'drivers', 'etc', 'hosts') : '/etc/hosts';

/** Some people keep block lists there; beyond this it is not read. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;

export class HostsFile {
  #entries: ReadonlyMap<string, readonly string[]> = new Map();
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #version = '';

  constructor(readonly path = SYSTEM_HOSTS_FILE) {}

  /** Addresses of `name` (lower case), in the order of the file; empty when it has none. */
  lookup(name: string): readonly string[] {
    this.#refresh();
    return this.#entries.get(name) ?? [];
  }

  /** The names of an address in canonical form, in the order of the file; empty when it has none. */
  namesOf(address: string): readonly string[] {
    this.#refresh();
    return this.#names.get(address) ?? [];
  }

  /** Reads again when the file is another one. A missing or unreadable file has no entries. */
  #refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version === this.#version) return;
      this.#take(parseHosts(readTextFile(this.path, { maxBytes: MAX_FILE_BYTES })));
      this.#version = version;
    } catch {
      this.#take(new Map());
      this.#version = '';
    }
  }

  #take(entries: ReadonlyMap<string, readonly string[]>): void {
    this.#entries = entries;
    this.#names = namesByAddress(entries);
  }
}

/** The same entries the other way round, by the canonical form of the address. */
function namesByAddress(entries: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [name, addresses] of entries) {
    for (const text of new Set(addresses.map((address) => parseAddress(address)?.text))) {
      if (text === undefined) continue;
      const known = names.get(text);
      if (known === undefined) names.set(text, [name]);
      else known.push(name);
    }
  }
  return names;
}

/** hosts(5): an address, then names; `#` starts a comment. */
export function parseHosts(text: string): Map<string, string[]> {
  const entries = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/);
    if (address === undefined) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      entries.set(key, [...(entries.get(key) ?? []), address]);
    }
  }
  return entries;
}
