/**
 * Reads a socket at the pace of whoever takes the bytes, and tells how they end. Every byte that was received comes before
 * the end, also when the connection was reset or a write to it has failed; and a reset never looks like a FIN, nor a FIN
 * that a reset followed like a reset, whatever the version of Node makes of them (kernel-socket.ts).
 * @module
 */
import type { Socket } from 'node:net';
import { readReceived } from './kernel-socket.ts';

/** What is read from one connection that was lost, and waits to be taken; of all such connections together. */
export const MAX_REMAINING_BYTES = 8 * 1024 * 1024;
export const MAX_ALL_REMAINING_BYTES = 64 * 1024 * 1024;

let allRemainingBytes = 0;

export interface ReaderHandlers {
  /** False asks to wait for `resume`. */
  onBytes(bytes: Uint8Array): boolean;
  /** The last call but `onReset`: which of both it is decides the peer alone. */
  onFin(): void;
  /** The last call. */
  onReset(): void;
}

export class SocketReader {
  /** What was read from a connection that was lost. */
  #remaining: Uint8Array[] = [];
  #remainingBytes = 0;
  /** How it ends, once that is known; it is delivered behind the last byte. */
  #end: 'fin' | 'reset' | undefined;
  #paused = true;
  #done = false;

  /** Reads nothing before `start`. */
  constructor(
    private readonly socket: Socket,
    private readonly handlers: ReaderHandlers,
  ) {
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.pause();
  }

  /** The FIN was passed on. */
  get finished(): boolean {
    return this.#done && this.#end === 'fin';
  }

  /** Begins with `early`, which was read before. */
  start(early: Uint8Array = new Uint8Array(0)): void {
    this.#paused = early.byteLength > 0 && !this.handlers.onBytes(early);
    if (!this.#paused) this.resume();
  }

  resume(): void {
    this.#paused = false;
    if (this.#end === undefined) this.socket.resume();
    else this.#tellRest();
  }

  /**
   * The connection is lost: takes over what was received and not read. To be called in the callback of a failed write with
   * its error, while the descriptor is still open, and when the socket is closed.
   */
  lose(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#detach();
    const inNode: Uint8Array[] = [];
    for (let bytes = this.socket.read(); bytes !== null; bytes = this.socket.read()) inNode.push(bytes);
    // ECONNRESET was taken from the kernel by the write: what it says afterwards looks like a FIN.
    const wasReset = (error as NodeJS.ErrnoException | undefined)?.code !== 'EPIPE';
    const { pieces, end } = readReceived(this.socket, this.#mayTakeBytes);
    this.#endWith(!wasReset && end === 'fin' ? 'fin' : 'reset', [...inNode, ...pieces]);
  }

  /** Stops without a word. The socket stays paused. */
  stop(): void {
    this.#done = true;
    this.#detach();
    this.#dropRemaining();
    this.socket.pause();
  }

  readonly #onData = (bytes: Uint8Array): void => {
    if (this.handlers.onBytes(bytes)) return;
    this.#paused = true;
    this.socket.pause();
  };

  readonly #onEnd = (): void => {
    this.#detach();
    const { pieces, end } = readReceived(this.socket, this.#mayTakeBytes);
    this.#endWith(end === 'reset' ? 'reset' : 'fin', pieces);
  };

  #endWith(end: 'fin' | 'reset', pieces: readonly Uint8Array[]): void {
    this.#end = end;
    this.#remaining.push(...pieces);
    this.#count(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    if (!this.#paused || this.#remaining.length === 0) this.#tellRest();
  }

  #tellRest(): void {
    while (!this.#paused && !this.#done && this.#remaining.length > 0) {
      const bytes = this.#remaining.shift() as Uint8Array;
      this.#count(-bytes.byteLength);
      this.#paused = !this.handlers.onBytes(bytes);
    }
    if (this.#done || this.#remaining.length > 0) return;
    this.#done = true;
    if (this.#end === 'fin') this.handlers.onFin();
    else this.handlers.onReset();
  }

  get #mayTakeBytes(): number {
    return Math.max(0, Math.min(MAX_REMAINING_BYTES, MAX_ALL_REMAINING_BYTES - allRemainingBytes));
  }

  #count(bytes: number): void {
    this.#remainingBytes += bytes;
    allRemainingBytes += bytes;
  }

  #dropRemaining(): void {
    this.#remaining = [];
    this.#count(-this.#remainingBytes);
  }

  #detach(): void {
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
  }
}
