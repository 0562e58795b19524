import type { OpenTarget, StreamOpener, StreamTimes } from '../../lib/access/opener.ts';
import type { ErrorCode, MixError } from '../../lib/core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { SessionStream, StreamHandlers } from '../../lib/session/index.ts';

/** A stream that only notes what it is told; the test plays the other side through `handlers`. */
export class ScriptedStream implements SessionStream {
  written = Buffer.alloc(0);
  readonly datagrams: { host: string; port: number; bytes: Buffer }[] = [];
  /** Largest datagram that is taken. */
  maxDatagramBytes = 1400;
  ended = false;
  resetCode: ErrorCode | undefined;
  stopCode: ErrorCode | undefined;
  consumed = 0;
  /** What `write` answers. */
  room = true;
  #waiting: (() => void)[] = [];

  constructor(
    readonly id: number,
    readonly target: OpenTarget,
    readonly handlers: StreamHandlers,
  ) {}

  write(bytes: Uint8Array): boolean {
    this.written = Buffer.concat([this.written, bytes]);
    this.#changed();
    return this.room;
  }

  sendDatagram(host: string, port: number, bytes: Uint8Array): boolean {
    if (bytes.byteLength > this.maxDatagramBytes) return false;
    this.datagrams.push({ host, port, bytes: Buffer.from(bytes) });
    this.#changed();
    return true;
  }

  end(): void {
    this.ended = true;
    this.#changed();
  }

  reset(code: ErrorCode): void {
    this.resetCode = code;
    this.#changed();
  }

  endWithReset(code: ErrorCode): void {
    this.reset(code);
  }

  stop(code: ErrorCode): void {
    this.stopCode = code;
    this.#changed();
  }

  consume(bytes: number): void {
    this.consumed += bytes;
    this.#changed();
  }

  /** Resolves when `condition` holds after one of the calls above. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export class ScriptedOpener implements StreamOpener {
  times: StreamTimes = DEFAULT_SESSION_PARAMS;
  readonly streams: ScriptedStream[] = [];
  /** When set, `open` throws it. */
  error: MixError | undefined;
  /** What the streams' requesters let through. */
  suits: StreamOpener['suits'] = () => true;
  /** When set, `open` answers in the next turn with this refusal. */
  refusal: ErrorCode | undefined;
  /** When set, `open` answers with this refusal before it returns. */
  instantRefusal: ErrorCode | undefined;
  #waiting: (() => void)[] = [];

  open(target: OpenTarget, handlers: StreamHandlers): SessionStream {
    if (this.error !== undefined) throw this.error;
    const stream = new ScriptedStream(this.streams.length, target, handlers);
    this.streams.push(stream);
    for (const resolve of this.#waiting.splice(0)) resolve();
    const { refusal, instantRefusal } = this;
    if (instantRefusal !== undefined) handlers.onRefused(instantRefusal);
    if (refusal !== undefined) setImmediate(() => handlers.onRefused(refusal));
    return stream;
  }

  /** The stream opened as number `index`, as soon as it is. */
  async stream(index: number): Promise<ScriptedStream> {
    for (;;) {
      const stream = this.streams[index];
      if (stream !== undefined) return stream;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
