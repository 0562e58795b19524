/**
 * Datagrams of one stream that wait for a packet: a bounded queue that loses its oldest, as a router's would. They are
 * sent once, under no flow control and in whatever order packets arrive.
 * @module
 */
import type { MemoryAccount } from '../../core/memory-budget.ts';
import { ACK_SHARE, SURB_BYTES } from '../limits.ts';
import type { FrameOwner, PacketBuilder } from '../wire/packet-builder.ts';
import type { SessionFlow } from './session-flow.ts';

interface Waiting {
  readonly host: Uint8Array;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** What a datagram takes in the queue besides its bytes. */
const OVERHEAD_BYTES = 64;

export class DatagramQueue {
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #drainedBytes = 0;
  readonly #memory: MemoryAccount | undefined;

  constructor(
    private readonly flow: SessionFlow,
    private readonly maxBytes: number,
  ) {
    this.#memory = flow.memory?.account('datagrams', () => this.clear());
  }

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  /** What waits to be sent, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Queues a copy. Returns how many of the oldest were dropped to make room for it. */
  push(host: Uint8Array, port: number, bytes: Uint8Array): number {
    this.#waiting.push({ host, port, bytes: new Uint8Array(bytes) }); // slice() of a Buffer copies nothing
    this.#grow(bytes.byteLength + OVERHEAD_BYTES);
    let dropped = 0;
    for (; this.#bytes > this.maxBytes && this.#waiting.length > 1; dropped++) this.#shift();
    return dropped;
  }

  /** Writes as many as fit into the packet. Returns their bytes, or undefined when not even one fits. */
  writeTo(builder: PacketBuilder, owner: FrameOwner, stream: number): number | undefined {
    let written: number | undefined;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!builder.datagram(owner, stream, next.host, next.port, next.bytes)) break;
      written = (written ?? 0) + next.bytes.byteLength;
      this.#shift();
    }
    return written;
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#grow(-this.#bytes);
  }

  #shift(): void {
    const first = this.#waiting.shift();
    if (first !== undefined) this.#grow(-first.bytes.byteLength - OVERHEAD_BYTES);
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    if (bytes < 0) this.#drainedBytes -= bytes;
    this.flow.queuedChanged(bytes, 0);
    this.#memory?.set(this.#bytes, this.#drainedBytes);
  }
}

/** Session id, packet number and overhead of a frame at their usual longest. */
const PACKET_HEAD_BYTES = 16 + 4 + 8;
/** Type, stream, lengths and port of a DATAGRAM frame at their longest. */
const FRAME_HEAD_BYTES = 1 + 8 + 2 + 2 + 4;
/** A SURBS frame with the one block that every packet of an upload carries. */
const BLOCK_BYTES = 9 + SURB_BYTES;

/**
 * The largest datagram to `host` that fits a packet beside an acknowledgement and a reply block. With payloads of 2048
 * bytes that is enough for what fits an Ethernet frame.
 */
export function maxDatagramBytes(payloadBytes: number, hostLength: number): number {
  return Math.floor(payloadBytes * (1 - ACK_SHARE) - PACKET_HEAD_BYTES - BLOCK_BYTES - FRAME_HEAD_BYTES - hostLength);
}
