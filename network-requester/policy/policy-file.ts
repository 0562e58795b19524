/**
 * The exit policy in its file: read at the start, and again when the operator says so. A file that cannot be used at
 * the start ends the start; later the rules in force stay, since an exit that falls open or shut by a typing error
 * would be worse than one that is behind.
 * @module
 */

import { asMixError, MixError, systemCode, systemReason } from '../../lib/core/errors.ts';
import { readTextFile } from '../../lib/core/text-file.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { ExitPolicy } from './exit-policy.ts';
import { type ExitRule, parseRules } from './exit-rules.ts';

const MAX_FILE_BYTES = 256 * 1024;

/** The rules of a file. Throws MixError CONFIG with one line. */
export function loadRules(path: string): ExitRule[] {
  const text = textOf(path);
  try {
    return parseRules(text);
  } catch (error) {
    throw new MixError('CONFIG', `exit policy ${path}: ${asMixError(error).message}`);
  }
}

function textOf(path: string): string {
  try {
    return readTextFile(path, { maxBytes: MAX_FILE_BYTES });
  } catch (error) {
    if (error instanceof MixError) throw new MixError('CONFIG', `exit policy ${error.message}`); // it names the file
    const reason = systemCode(error) === 'ENOENT' ? 'does not exist' : systemReason(error);
    throw new MixError('CONFIG', `exit policy ${path}: ${reason}`, error);
  }
}

/** Reads the file again. True when the rules are new; otherwise the old ones stay and the log says why. */
export function reloadRules(path: string, policy: ExitPolicy, log: Log): boolean {
  try {
    const rules = loadRules(path);
    policy.setRules(rules);
    log.info({ rules: rules.length }, 'the exit policy was read again');
    return true;
  } catch (error) {
    log.error({ reason: asMixError(error).message }, 'the exit policy was not changed');
    return false;
  }
}
