/**
 * Runs one role as a process: builds its components, starts it, and ends it in order on a signal, on a defect, or when
 * the `localnet` that started it is gone.
 * @module
 */
import { every, systemClock } from '../lib/core/clock.ts';
import { MixError } from '../lib/core/errors.ts';
import { systemRng } from '../lib/core/rng.ts';
import { loadCrypto, missingLibrary } from '../lib/crypto/index.ts';
import { hasAddress } from '../lib/net/own-address.ts';
import type { Components } from '../lib/runtime/components.ts';
import { FolderLock } from '../lib/runtime/folder-lock.ts';
import { processMemory } from '../lib/runtime/process-memory.ts';
import { createLog, type Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { RUNNING_MESSAGE } from './child-process.ts';
import { type ConnectionOptions, filesWarning } from './needed-files.ts';
import { reportError } from './report.ts';
import { type Environment, type Flags, loadRoleConfig } from './role-config.ts';
import type { CommonConfig, Role, RunningRole } from './roles.ts';
import { ServiceManager, STATUS_PERIOD_MS } from './service-manager.ts';
import { stopRequested } from './stop-signal.ts';

/** From the request to stop, or the end of a drain, until the process ends whatever is still open. */
const STOP_TIMEOUT_MS = 4000;

const ALIVE_PERIOD_MS = 60_000;

/** Runs `role` until it is asked to stop; resolves with the exit code. */
export async function runRole(role: Role, flags: Flags, env: Environment): Promise<number> {
  const stop = stopRequested().then(() => undefined);
  const alive = setInterval(() => {}, ALIVE_PERIOD_MS); // a role may wait on nothing but timers that do not count
  const { schema, start } = await role.load();
  const config = loadRoleConfig(role.name, schema, flags, env);
  const { dir, logLevel, crypto, name, outboundAddress, memoryBudgetMiB } = config as unknown as CommonConfig;
  if (outboundAddress !== undefined) await checkOwn(outboundAddress);
  const log = createLog(logLevel, name);
  const lock = await FolderLock.take(dir, {
    holder: `${role.name}, process ${process.pid}`,
    warn: (line) => log.warn({}, line),
  });
  const tooFew = filesWarning(role.name, config as ConnectionOptions);
  if (tooFew !== undefined) log.warn({}, tooFew);
  const { defect, onFatal } = firstDefect(log);
  const components = { ...(await buildComponents(crypto, log, memoryBudgetMiB)), outboundAddress, onFatal };
  const running = await Promise.race([start(config, components), stop, defect]);
  if (running === undefined) return 0; // asked to stop before it ran
  const manager = ServiceManager.of(env, process.send !== undefined, log);
  reloadOnHangup(running, manager, log);
  process.stdout.write(`listening ${running.listening}\n`);
  process.send?.(RUNNING_MESSAGE, undefined, undefined, () => {
    // A parent that is gone shows by the closed channel.
  });
  const showStatus = () => manager.status(running.health.ready());
  void manager.ready();
  showStatus();
  const status = every(systemClock, STATUS_PERIOD_MS, showStatus);
  try {
    await Promise.race([stop, defect]);
    if (running.drain !== undefined) void manager.stopping();
    await Promise.race([running.drain?.(), defect]);
    return 0;
  } catch (error) {
    return reportError(error, `mixsocks ${role.name}`);
  } finally {
    status.cancel();
    await inTime(Promise.all([manager.stopping(), running.stop()]));
    lock.release();
    clearInterval(alive);
  }
}

/**
 * What SIGHUP means: a requester reads its exit policy again. To a role that has nothing to read again it means what it usually does,
 * that its terminal is gone; a service has none, and its manager may ask every unit to reload.
 */
function reloadOnHangup(running: RunningRole, manager: ServiceManager, log: Log): void {
  if (running.reload === undefined && !manager.present) return;
  process.on('SIGHUP', () => {
    void manager.reloading();
    if (running.reload === undefined) log.info({}, 'there is nothing that this role reads again');
    else running.reload();
    void manager.ready();
  });
}

async function checkOwn(address: string): Promise<void> {
  if (await hasAddress(address)) return;
  throw new MixError('CONFIG', `outboundAddress: ${address} is no address of this machine`);
}

async function buildComponents(
  choice: CommonConfig['crypto'],
  log: Log,
  memoryBudgetMiB?: number,
): Promise<Components> {
  const crypto = await loadCrypto(choice);
  const missing = missingLibrary(crypto);
  if (choice === 'noble') {
    log.warn({ backends: crypto.backends }, 'REFERENCE CRYPTO FORCED: too slow for the default rates, for tests only');
  } else if (missing !== undefined) {
    log.warn({ backends: crypto.backends }, missing);
  } else {
    log.info({ backends: crypto.backends }, 'crypto backends');
  }
  const metrics = new Metrics();
  const memory = processMemory(memoryBudgetMiB, systemClock, metrics);
  return { clock: systemClock, rng: systemRng, crypto, log, metrics, memory };
}

/**
 * `defect` rejects with the first error that a part reports to `onFatal` or that nobody caught; to go on in an unknown state would not
 * be safe.
 */
function firstDefect(log: Log): { defect: Promise<never>; onFatal: (error: unknown) => void } {
  let onFatal = (_error: unknown) => {};
  const defect = new Promise<never>((_resolve, reject) => {
    onFatal = (error) => {
      log.debug({ stack: error instanceof Error ? error.stack : undefined }, 'a defect');
      reject(error);
    };
  });
  process.on('uncaughtException', onFatal);
  process.on('unhandledRejection', onFatal);
  defect.catch(() => {}); // seen by whoever races it; between two races nobody does
  return { defect, onFatal };
}

/** Waits for the end, for STOP_TIMEOUT_MS at most. */
async function inTime(stopped: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_TIMEOUT_MS);
  });
  await Promise.race([stopped, late]).catch(() => {});
  clearTimeout(timer);
}
