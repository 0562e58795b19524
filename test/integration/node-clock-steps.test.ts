/** The wall clock is set while a node runs: its keys are other ones then, and the directory hears of them at once. */
import { join } from 'node:path';
import t from 'tap';
import type { Components, Running } from '../../lib/components.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/log.ts';
import { Metrics } from '../../lib/metrics.ts';
import { epochAt } from '../../lib/params.ts';
import { systemRng } from '../../lib/rng.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { RequesterConfig, startRequester } from '../../network-requester/index.ts';
import { crypto } from '../support/directory-network.ts';
import { until } from '../support/link-fixtures.ts';
import { listeningAuthority } from '../support/listening-authority.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const EPOCH_MS = 3_600_000;
/** Longest time between two looks at the keys, of any role. */
const UPKEEP_MS = 10_000;

class SettableClock extends VirtualClock {
  aheadMs = 0;

  override wallMs(): number {
    return super.wallMs() + this.aheadMs;
  }
}

type Start = (common: { dir: string; networkFile: string; name: string }, components: Components) => Promise<Running>;
const roles: Readonly<Record<string, Start>> = {
  mixnode: (common, components) =>
    startMixnode(MixnodeConfig.parse({ ...common, listen: '127.0.0.1:0', layer: 1 }), components),
  requester: (common, components) =>
    startRequester(RequesterConfig.parse({ ...common, gateway: 'ab'.repeat(32) }), components),
};
for (const [role, start] of Object.entries(roles)) {
  t.test(`${role}: the clock is set back by days`, async (t) => {
    const dir = t.testdir();
    const networkFile = join(dir, 'network.json');
    const { heard } = await listeningAuthority(t, networkFile);
    const clock = new SettableClock();
    await saveIdentity(dir, await createIdentity(systemRng));
    const components = { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
    const running = await start({ dir, networkFile, name: role }, components);
    t.teardown(() => running.stop());
    await until(() => heard.length === 1);
    clock.aheadMs = -3 * 24 * EPOCH_MS;
    clock.advance(UPKEEP_MS);
    await until(() => heard.length === 2);
    t.equal(heard[1]?.sphinxKeys[0]?.epoch, epochAt(clock.wallMs(), EPOCH_MS));
  });
}
