/** How many processors a process may use, and how much of them it has used. */
import { join } from 'node:path';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { openPolicedKeys } from '../../lib/mixing/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { usableProcessors } from '../../lib/runtime/processors.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';

t.test('processors are those that a CPU cgroup grants, of version 1 or 2, and of the groups above', async (t) => {
  const none = usableProcessors(() => undefined, 8);
  t.equal(none, 8, 'no cgroups here');
  const files = (entries: Record<string, string>) => (path: string) => entries[path];
  const v2 = { '/proc/self/cgroup': '0::/user/run-1\n', '/sys/fs/cgroup/user/run-1/cpu.max': 'max 100000\n' };
  t.equal(usableProcessors(files(v2), 8), 8);
  t.equal(usableProcessors(files({ ...v2, '/sys/fs/cgroup/user/cpu.max': '150000 100000\n' }), 8), 1.5);
  t.equal(usableProcessors(files({ ...v2, '/sys/fs/cgroup/cpu.max': '50000 100000\n' }), 8), 0.5, 'in a container');
  const quota = { 'cpu.cfs_quota_us': '-1\n', 'cpu.cfs_period_us': '100000\n' };
  const at = (folder: string, values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [join(folder, name), value]));
  const v1 = { '/proc/self/cgroup': '5:memory:/m\n3:cpu,cpuacct:/a/b\n0::/\n', ...at('/sys/fs/cgroup/cpu/a/b', quota) };
  t.equal(usableProcessors(files(v1), 2), 2, 'no quota');
  const limited = { ...v1, ...at('/sys/fs/cgroup/cpu/a', { ...quota, 'cpu.cfs_quota_us': '20000\n' }) };
  t.equal(usableProcessors(files(limited), 2), 0.2);
});

t.test(
  'a node that has to wait for a processor while it measures does not take itself for slow',
  { skip: process.platform === 'win32' },
  async (t) => {
    const crypto = createCrypto('fastest');
    const cell = new Int32Array(new SharedArrayBuffer(4));
    // Two multiplications for an unwrap: 4 ms in which others have the processor, so that a clock on the wall says 150 a second.
    const interrupted: typeof crypto = {
      ...crypto,
      x25519: (...key) => {
        Atomics.wait(cell, 0, 0, 2);
        return crypto.x25519(...key);
      },
    };
    const components = {
      clock: systemClock,
      crypto: interrupted,
      rng: seededRng(1),
      metrics: new Metrics(),
      log: undefined,
    };
    const terms = { dir: join(t.testdir(), 'keys'), payloadBytes: 2048, replayMemoryMiB: 512, epochMs: 3_600_000 };
    const { policer } = openPolicedKeys(components as unknown as Components, terms);
    t.ok(policer.perSecond > 200, `${policer.perSecond}`);
  },
);
