/**
 * The two faces of an accepted link. Frames of a node are packets; frames of a client are next hop and packet on the
 * way up, packet, its kind and zeros on the way down.
 * @module
 */
import type { IdentityHex } from '../core/bytes.ts';
import { ADDRESS_BYTES } from '../core/params.ts';
import type { FrameSocket } from './frame-socket.ts';
import { downlinkFrame } from './framing.ts';
import type { LinkMetrics } from './metrics.ts';
import type { ClientInboundLink, ClientTerms, LinkKind, NodeInboundLink, SendResult } from './types.ts';

type CloseHandler = (reason: string) => void;

abstract class AcceptedLinkBase {
  #onClose: CloseHandler | undefined;
  #endReason: string | undefined;
  abstract readonly kind: LinkKind;

  constructor(
    readonly peer: IdentityHex,
    readonly version: number,
    readonly socket: FrameSocket,
    readonly packetBytes: number,
    readonly metrics: LinkMetrics | undefined,
  ) {}

  send(packet: Uint8Array): SendResult {
    return this.count(this.socket.send(packet));
  }

  protected count(result: SendResult): SendResult {
    this.metrics?.sent(this.kind, result);
    return result;
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
  readonly #padding: Buffer;

  constructor(
    peer: IdentityHex,
    version: number,
    socket: FrameSocket,
    packetBytes: number,
    metrics: LinkMetrics | undefined,
    readonly client: ClientTerms,
  ) {
    super(peer, version, socket, packetBytes, metrics);
    this.#padding = paddingFrame(packetBytes);
  }

  sendPadding(): SendResult {
    return this.count(this.socket.send(this.#padding));
  }

  sendConsensus(frame: Uint8Array): SendResult {
    return this.count(this.socket.send(frame));
  }

  onFrame(handler: (nextHop: Uint8Array, packet: Uint8Array) => void): void {
    this.#handler = handler;
  }

  receive(frame: Buffer): void {
    this.metrics?.framesIn.inc({ kind: 'client' });
    this.#handler(frame.subarray(0, ADDRESS_BYTES), frame.subarray(ADDRESS_BYTES, ADDRESS_BYTES + this.packetBytes));
  }
}

/** One for all links of a size: frames that carry nothing are the most frequent of all, and nobody changes them. */
const paddingFrames = new Map<number, Buffer>();

function paddingFrame(packetBytes: number): Buffer {
  let frame = paddingFrames.get(packetBytes);
  if (frame === undefined) {
    frame = downlinkFrame('padding', packetBytes);
    paddingFrames.set(packetBytes, frame);
  }
  return frame;
}

export type AcceptedLink = AcceptedNodeLink | AcceptedClientLink;
