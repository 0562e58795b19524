/**
 * What the directory client needs of HTTP, so that its logic is tested without sockets.
 * @module
 */
import { afterSilence, type Clock } from '../../core/clock.ts';
import { MixError } from '../../core/errors.ts';
import type { UnixMs } from '../../core/units.ts';

/** Status of an answer that is a difference (RFC 3229). */
export const IM_USED = 226;

export interface HttpReply {
  readonly status: number;
  readonly text: string;
  /** The body as it came where it is no text (status 226). */
  readonly bytes?: Uint8Array;
  /** When the answer was made, by the `Date` field of its sender. */
  readonly dateMs?: UnixMs | undefined;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A longer answer is an error; it is not read to its end. */
  readonly maxBytes: number;
}

/** Sends one request; rejects with MixError TIMEOUT, LIMIT or HOST_UNREACHABLE. */
export interface Transport {
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpReply>;
  close(): Promise<void>;
}

/** `send` within `timeoutMs` of `clock`, given up at once when `stopped` aborts. */
export async function sendWithin(
  transport: Transport,
  request: HttpRequest,
  clock: Clock,
  timeoutMs: number,
  stopped: AbortSignal,
): Promise<HttpReply> {
  const late = new AbortController();
  const timer = afterSilence(clock, timeoutMs, () => {
    late.abort(new MixError('TIMEOUT', `no answer from ${request.url} within ${Math.round(timeoutMs)} ms`));
  });
  try {
    return await transport.send(request, AbortSignal.any([late.signal, stopped]));
  } finally {
    timer.cancel();
  }
}

/** `path` under the base URL of an authority. */
export function authorityUrl(base: string, path: string): string {
  return new URL(path, base.endsWith('/') ? base : `${base}/`).href;
}
