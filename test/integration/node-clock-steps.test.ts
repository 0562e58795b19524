/** The wall clock is set while a node runs: its keys are other ones then, and the directory hears of them at once. */

import { join } from 'node:path';
import t from 'tap';
import { epochAt } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { until } from '../support/link-fixtures.ts';
import { listeningAuthority } from '../support/listening-authority.ts';
import { crypto } from '../support/signed-documents.ts';
import { unix } from '../support/units.ts';
import { SettableClock } from '../support/virtual-clock.ts';

const EPOCH_MS = 3_600_000;
/** Longest time between two looks at the keys, of any role. */
const UPKEEP_MS = 10_000;

t.test('the clock of a mixnode is set back by days', async (t) => {
  const dir = t.testdir();
  const networkFile = join(dir, 'network.json');
  const { heard } = await listeningAuthority(t, networkFile);
  const clock = new SettableClock();
  await saveIdentity(dir, await createIdentity(systemRng));
  const components = { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
  const config = MixnodeConfig.parse({ dir, networkFile, name: 'mixnode', listen: '127.0.0.1:0', layer: 1 });
  const running = await startMixnode(config, components);
  t.teardown(() => running.stop());
  await until(() => heard.length === 1);
  clock.aheadMs = -3 * 24 * EPOCH_MS;
  clock.advance(UPKEEP_MS);
  await until(() => heard.length === 2);
  t.equal(heard[1]?.sphinxKeys[0]?.epoch, epochAt(unix(clock.wallMs()), EPOCH_MS));
});
