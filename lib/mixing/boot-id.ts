/**
 * Which boot of the operating system this is. What a process wrote survives its own death in the page cache, but not a
 * crash of the system: so a replay journal is trusted only within the boot that wrote it (or after a clean stop).
 * @module
 */
import { readFileSync } from 'node:fs';

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * The id of this boot; undefined where the system has none that can be relied on. Then every restart without a clean
 * stop counts as a reboot: the safe side.
 */
export function bootId(path = LINUX_BOOT_ID): string | undefined {
  try {
    const id = readFileSync(path, 'latin1').trim();
    return /^[0-9a-f-]{36}$/.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
