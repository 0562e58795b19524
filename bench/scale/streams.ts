/**
 * Many streams over one proxy, and one that an application does not read.
 * @module
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Build } from '../harness/build.ts';
import { type Figure, failure, figure } from '../harness/figure.ts';
import { Localnet, measureRoles, STANDARD } from '../harness/localnet.ts';
import { metricsPage } from '../harness/metrics-page.ts';
import { residentBytes } from '../harness/processor.ts';
import { inScope, progress } from '../harness/scope.ts';
import { startSite } from '../harness/site.ts';
import { type Ends, endlessDownload } from '../harness/transfer.ts';

export interface StreamTerms {
  readonly counts: readonly number[];
  readonly seconds: number;
  readonly stoppedSeconds: number;
  readonly quick: boolean;
}

/** The streams share what the clocks give; they have begun to do so … */
const SETTLE_MS = 10_000;
/** … and before the first are measured, what runs often has been compiled. */
const FIRST_SETTLE_MS = 30_000;
const ROLES = ['proxy', 'requester'];
/** Fewer than a session may have: more streams are several users'. */
const STREAMS_PER_USER = 250;
/** Of a gateway's metrics. */
const CLIENT_FRAMES = /^mixsocks_link_frames_(?:in|out)_total\{kind="client"\} (\d+)$/gm;
/** Read before the application stops. */
const READ_BYTES = 300_000;
const READ_TIMEOUT_MS = 120_000;

/**
 * Processor time of the two ends with more and more streams that all download: per second, and per packet, since the clocks fix how
 * many there are but a busy machine makes them late.
 */
export function streamFigures(build: Build, { counts, seconds, quick }: StreamTerms): Promise<Figure[]> {
  return inScope(async (scope) => {
    const { port } = await startSite(scope);
    const network = await Localnet.start(scope, build, STANDARD);
    const ends = { socks: network.socks, sitePort: port };
    const open: Socket[] = [];
    scope.teardown(() => {
      for (const socket of open) socket.destroy();
    });
    const figures: Figure[] = [];
    for (const streams of counts) {
      progress(`scale: ${streams} streams`);
      const fault = await openUpTo(streams, open, ends);
      if (fault !== '') figures.push(failure('scale.streams.open', 'streams', fault, { streams }));
      else figures.push(figure('scale.streams.open', 'streams', open.length, { streams }));
      await sleep(quick ? 0 : streams === counts[0] ? FIRST_SETTLE_MS : SETTLE_MS);
      const framesBefore = await clientFrames(network);
      const used = measureRoles(network);
      const startMs = performance.now();
      await sleep(1000 * seconds);
      const elapsed = (performance.now() - startMs) / 1000;
      const secondsOf = used();
      const frames = (await clientFrames(network)) - framesBefore;
      for (const role of ROLES) {
        const { pid = 0 } = network.nodesOf(role)[0] ?? {};
        const perSecond = (1000 * (secondsOf.get(role) ?? NaN)) / elapsed;
        figures.push(figure('scale.streams.processor', 'ms/s', perSecond, { streams, role }));
        const perFrame = (1e6 * (secondsOf.get(role) ?? NaN)) / frames;
        figures.push(figure('scale.streams.packet', 'us', perFrame, { streams, role }));
        figures.push(figure('scale.streams.memory', 'MB', residentBytes(pid) / 1e6, { streams, role }));
      }
    }
    return figures;
  });
}

/** Frames so far between gateways and their clients, both ways, padding included: those of the two ends. */
async function clientFrames(network: Localnet): Promise<number> {
  const pages = network.nodesOf('gateway').map(({ metrics }) => metricsPage(metrics));
  const counts = [...(await Promise.all(pages)).join('\n').matchAll(CLIENT_FRAMES)].map(([, count]) => Number(count));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Opens streams until there are `count`; says why the first that could not be opened was not. */
async function openUpTo(count: number, open: Socket[], ends: Ends): Promise<string> {
  const before = open.length;
  const results = await Promise.allSettled(
    Array.from({ length: count - before }, (_, i) => {
      const user = `user-${Math.floor((before + i) / STREAMS_PER_USER)}`;
      return endlessDownload({ ...ends, user }, `stream-${before + i}`, () => {});
    }),
  );
  const refused: unknown[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') open.push(result.value);
    else refused.push(result.reason);
  }
  if (refused.length === 0) return '';
  return `${refused.length} of ${count} streams were not opened: ${(refused[0] as Error).message}`;
}

/** How much the two ends grow while an application leaves a download unread, and whether it goes on afterwards. */
export function stoppedFigures(build: Build, { stoppedSeconds, quick }: StreamTerms): Promise<Figure[]> {
  return inScope(async (scope) => {
    const { port } = await startSite(scope);
    const network = await Localnet.start(scope, build, STANDARD);
    let bytes = 0;
    const socket = await endlessDownload({ socks: network.socks, sitePort: port }, 'stopped', (count) => {
      bytes += count;
    });
    scope.teardown(() => socket.destroy());
    const readMore = (wanted: number) => reads(() => bytes, bytes + wanted);
    const wanted = quick ? 1000 : READ_BYTES;
    if (!(await readMore(wanted))) return [failure('scale.stopped.growth', 'MB', 'the download does not begin')];
    const pids = ROLES.map((role) => network.nodesOf(role)[0]?.pid ?? 0);
    const before = pids.map(residentBytes);
    const growth = pids.map(() => 0);
    socket.pause();
    for (let second = 0; second < stoppedSeconds; second++) {
      await sleep(1000);
      for (const [i, pid] of pids.entries()) {
        growth[i] = Math.max(growth[i] ?? 0, residentBytes(pid) - (before[i] ?? 0));
      }
    }
    socket.resume();
    if (!(await readMore(wanted))) return [failure('scale.stopped.growth', 'MB', 'the download does not go on')];
    return ROLES.map((role, i) => figure('scale.stopped.growth', 'MB', (growth[i] ?? NaN) / 1e6, { role }));
  });
}

async function reads(bytes: () => number, goal: number): Promise<boolean> {
  for (const startMs = performance.now(); performance.now() - startMs < READ_TIMEOUT_MS; await sleep(50)) {
    if (bytes() >= goal) return true;
  }
  return false;
}
