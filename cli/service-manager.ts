/**
 * What a role tells the service manager that started it (sd_notify): ready, reloading, stopping, and in one line what is missing.
 * Node.js has no datagrams on unix sockets, so the program `systemd-notify` sends; its unit needs `NotifyAccess=all`. Without a
 * service manager nothing here does anything.
 * @module
 */
import { spawn } from 'node:child_process';
import { systemCode } from '../lib/core/errors.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Environment } from './role-config.ts';

/** How often it is looked whether the status is another: each change starts a process. */
export const STATUS_PERIOD_MS = 10_000;
/** The program takes milliseconds; one that hangs is ended. */
const SEND_TIMEOUT_MS = 5_000;
/** Of a status. */
const MAX_STATUS_CHARS = 200;

/** Sends an assignment; resolves when that is done. */
type Send = (assignment: string) => Promise<void>;

export class ServiceManager {
  #status: string | undefined;
  #failed = false;
  /** Messages go out one after the other: they would overtake each other. */
  #stopping: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly send: Send | undefined,
    private readonly log: Log,
  ) {}

  /**
   * That of `env`, if it names one and this process is the service: what another mixsocks has started (localnet, run) is not, though
   * it inherits the variable.
   */
  static of(env: Environment, isChild: boolean, log: Log): ServiceManager {
    const named = env.NOTIFY_SOCKET !== undefined && env.NOTIFY_SOCKET !== '';
    return new ServiceManager(named && !isChild ? systemdNotify : undefined, log);
  }

  /** Whether there is one. */
  get present(): boolean {
    return this.send !== undefined;
  }

  ready(): Promise<void> {
    return this.#tell('READY=1');
  }

  reloading(): Promise<void> {
    return this.#tell('RELOADING=1');
  }

  stopping(): Promise<void> {
    this.#stopping ??= this.#tell('STOPPING=1');
    return this.#stopping;
  }

  /** Says what is missing, or that nothing is, when that is new. */
  status(faults: readonly string[]): void {
    const status = (faults[0] ?? 'ready').slice(0, MAX_STATUS_CHARS);
    if (status === this.#status) return;
    this.#status = status;
    void this.#tell(`STATUS=${status}`);
  }

  #tell(assignment: string): Promise<void> {
    const send = this.send;
    if (send === undefined) return Promise.resolve();
    this.#last = this.#last.then(() => send(assignment)).catch((error) => this.#complain(error));
    return this.#last;
  }

  /** Once: it will not get better. */
  #complain(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    const reason = systemCode(error) ?? String(error);
    this.log.warn({ reason }, 'the service manager could not be notified: systemd-notify failed');
  }
}

function systemdNotify(assignment: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemd-notify', [assignment], { stdio: 'ignore', timeout: SEND_TIMEOUT_MS });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(signal ?? `code ${code}`));
    });
  });
}
