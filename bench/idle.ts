/**
 * What a proxy costs that nobody uses, at default rates: `npx tsx bench/idle.ts [--seconds N]` (build first).
 *
 * Processor time is the proxy's alone, of all its threads; bytes are those of TLS records on its link to the gateway,
 * counted by a relay, to which TCP and IP add 52 per packet.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FRAME_RECORD_BYTES } from './probe/frame-times.ts';
import { recordNetwork } from './probe/recorder.ts';
import { measureUse, residentBytes } from './processor.ts';
import { print } from './scope.ts';

const TLS_HEADER_BYTES = 5;
/** Compilers and rings have settled. */
const SETTLE_MS = 10_000;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const network = await recordNetwork(fileURLToPath(new URL('../dist', import.meta.url)), {});
try {
  await sleep(SETTLE_MS);
  const { departures, arrivals } = network.proxy;
  const use = measureUse([network.proxyPid]);
  const before = { up: departures.length, down: arrivals.length, atMs: performance.now() };
  await sleep(1000 * Number(values.seconds));
  const { cores, othersCores, machineCores } = use();
  const seconds = (performance.now() - before.atMs) / 1000;
  const line = (name: string, frames: number) => {
    const perSecond = frames / seconds;
    const kilobytes = (perSecond * (FRAME_RECORD_BYTES + TLS_HEADER_BYTES)) / 1000;
    print(`${name} ${perSecond.toFixed(1)} packets/s, ${kilobytes.toFixed(0)} kB/s`);
  };
  print(`${seconds.toFixed(0)} s of an idle proxy at default rates:`);
  print(`processor ${(100 * (cores[0] ?? 0)).toFixed(1)} % of a core`);
  print(`memory ${(residentBytes(network.proxyPid) / 1e6).toFixed(0)} MB`);
  line('up', departures.length - before.up);
  line('down', arrivals.length - before.down);
  print(`beside it, the network and all else used ${othersCores.toFixed(2)} of ${machineCores} cores`);
} finally {
  await network.stop();
}
process.exit();
