import type { TestNetwork } from '../../support/localnet.ts';
import type { TestWeb } from '../../support/web.ts';

/** What the tests of a local network share. */
export interface LocalNetwork {
  readonly network: TestNetwork;
  readonly web: TestWeb;
}
