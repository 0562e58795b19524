/**
 * Signals on their way to the command.
 * @module
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Takes the signals of this process: they go to `send`, and as long as there is none, end what is prepared. */
export class SignalRelay {
  #send: ((signal: NodeJS.Signals) => void) | undefined;
  /** Resolves with the exit code of a command that a signal ends, when one comes before there is a command. */
  readonly early: Promise<number>;

  constructor() {
    this.early = new Promise((resolve) => {
      for (const signal of PASSED_ON) {
        process.on(signal, () => {
          if (this.#send === undefined) resolve(exitCodeOf(null, signal));
          else if (!comesFromTerminal(signal)) this.#send(signal);
        });
      }
    });
  }

  sendTo(send: (signal: NodeJS.Signals) => void): void {
    this.#send = send;
  }
}

/** The exit code of a command, as shells have it: 128 and the number of the signal that ended it. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 0) : 128 + constants.signals[signal];
}

/** A terminal sends Ctrl-C and Ctrl-\ to the command as well, which would get it twice. */
function comesFromTerminal(signal: NodeJS.Signals): boolean {
  return (signal === 'SIGINT' || signal === 'SIGQUIT') && isInForeground();
}

/** Whether this process is in the foreground of its terminal, by proc(5): fields 5 and 8. */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY; // not Linux
  }
}
