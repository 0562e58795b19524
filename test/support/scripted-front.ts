/**
 * A front over a scripted opener: the test plays every requester.
 * @module
 */
import type { Test } from 'tap';
import type { StreamTimes } from '../../lib/access/opener.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import type { FrontLimits } from '../../proxy/config.ts';
import { startFront } from '../../proxy/front/front.ts';
import { connectRequest, GREETING, RawClient } from './front-world.ts';
import { ScriptedOpener } from './scripted-opener.ts';
import { VirtualClock } from './virtual-clock.ts';

export const BOUND = { host: '0.0.0.0', port: 0 };
export const SUCCESS = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
export const failure = (reply: number) => Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);

/** A front over a scripted opener on a virtual clock. */
export async function world(
  t: Test,
  options: {
    limits?: Partial<FrontLimits>;
    times?: Partial<StreamTimes>;
    allowPrivate?: boolean;
    clock?: VirtualClock;
  } = {},
) {
  const { clock = new VirtualClock() } = options;
  const opener = new ScriptedOpener();
  opener.times = { ...opener.times, ...options.times };
  const metrics = new Metrics();
  const front = await startFront({
    listen: '127.0.0.1:0',
    opener,
    components: { clock, log: silentLog, metrics, rng: systemRng },
    allowPrivate: options.allowPrivate ?? false,
    limits: options.limits ?? {},
  });
  t.teardown(() => front.stop());
  const port = Number(front.listen.split(':')[1]);
  const client = async () => {
    const raw = await RawClient.connect(port);
    t.teardown(() => raw.socket.destroy());
    return raw;
  };
  /** A client whose request is under way. */
  const asking = async () => {
    const index = opener.streams.length;
    const raw = await client();
    raw.socket.write(Buffer.concat([GREETING, connectRequest('example.org', 443)]));
    const stream = await opener.stream(index);
    t.same(await raw.bytes(2), Buffer.from([5, 0]));
    return { raw, stream };
  };
  /** A client whose stream is open. */
  const open = async () => {
    const { raw, stream } = await asking();
    stream.handlers.onOpened(BOUND);
    t.same(await raw.bytes(10), SUCCESS);
    return { raw, stream };
  };
  return { clock, opener, metrics, front, client, asking, open };
}
