/**
 * The two faces of an accepted link. Frames of a node are packets; frames of a client are next hop and packet on the
 * way up, packet and zeros on the way down.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import { ADDRESS_BYTES } from '../params.ts';
import type { FrameSocket } from './frame-socket.ts';
import type { LinkMetrics } from './metrics.ts';
import type { ClientInboundLink, LinkKind, NodeInboundLink } from './types.ts';

type CloseHandler = (reason: string) => void;

abstract class AcceptedLinkBase {
  #onClose: CloseHandler | undefined;
  #endReason: string | undefined;
  abstract readonly kind: LinkKind;

  constructor(
    readonly peer: IdentityHex,
    readonly socket: FrameSocket,
    readonly packetBytes: number,
    readonly metrics: LinkMetrics | undefined,
  ) {}

  send(packet: Uint8Array): boolean {
    const sent = packet.byteLength === this.packetBytes && this.socket.send(packet);
    if (sent) this.metrics?.framesOut.inc({ kind: this.kind });
    else this.metrics?.dropped.inc({ reason: this.socket.closed ? 'down' : 'queue-full' });
    return sent;
  }

  queued(): number {
    return this.socket.queued;
  }

  onClose(handler: CloseHandler): void {
    this.#onClose = handler;
    if (this.#endReason !== undefined) handler(this.#endReason);
  }

  close(): void {
    this.socket.close('closed');
  }

  /** The socket has ended. */
  ended(reason: string): void {
    this.#endReason = reason;
    this.#onClose?.(reason);
  }

  protected noHandler(): void {
    this.metrics?.dropped.inc({ reason: 'no-handler' });
  }
}

export class AcceptedNodeLink extends AcceptedLinkBase implements NodeInboundLink {
  readonly kind = 'node';
  #handler: (packet: Uint8Array) => void = () => this.noHandler();

  onFrame(handler: (packet: Uint8Array) => void): void {
    this.#handler = handler;
  }

  receive(frame: Buffer): void {
    this.metrics?.framesIn.inc({ kind: 'node' });
    this.#handler(frame.subarray(0, this.packetBytes));
  }
}

export class AcceptedClientLink extends AcceptedLinkBase implements ClientInboundLink {
  readonly kind = 'client';
  #handler: (nextHop: Uint8Array, packet: Uint8Array) => void = () => this.noHandler();

  onFrame(handler: (nextHop: Uint8Array, packet: Uint8Array) => void): void {
    this.#handler = handler;
  }

  receive(frame: Buffer): void {
    this.metrics?.framesIn.inc({ kind: 'client' });
    this.#handler(frame.subarray(0, ADDRESS_BYTES), frame.subarray(ADDRESS_BYTES, ADDRESS_BYTES + this.packetBytes));
  }
}

export type AcceptedLink = AcceptedNodeLink | AcceptedClientLink;
