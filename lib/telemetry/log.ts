/**
 * Logging. The rule (docs/THREAT-MODEL.md): at info and above there is never a destination host, port or address,
 * never the identity of a client, never a secret. What someone who debugs their own machine needs beyond that goes to `debug`. Nothing
 * here enforces the rule: whoever logs keeps it.
 * @module
 */
import { pino } from 'pino';
import { LogOutput } from './log-output.ts';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/** The part of pino's logger that the code uses. */
export interface Log {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  child(bindings: { part: string }): Log;
}

/** A logger of JSON lines on standard error, times to the second (finer times help a traffic analyst who reads logs). */
export function createLog(level: LogLevel, name: string): Log {
  return pino(
    {
      level,
      base: { name },
      timestamp: () => `,"time":"${new Date().toISOString().slice(0, 19)}Z"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    new LogOutput(2),
  );
}

export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLog,
};
