/**
 * A directory authority: descriptors in, one signed consensus per epoch out.
 * @module
 */
import type { Components, Running } from '../lib/components.ts';
import { MixError } from '../lib/errors.ts';
import type { DirectoryConfig } from './config.ts';

export { DirectoryConfig } from './config.ts';

export interface RunningDirectory extends Running {
  /** Base URL of the HTTP API. */
  readonly url: string;
  readonly metricsUrl: string;
}

/**
 * Starts an authority on `config.dir`. Needs its identity there. Makes network.json for a network of this one authority
 * if the file is missing.
 */
export async function startDirectory(_config: DirectoryConfig, _components: Components): Promise<RunningDirectory> {
  throw new MixError('INTERNAL', 'not ready');
}
