/**
 * What the clocks of a network allow a transfer. In payloads of whole packets, so that a share of 1 cannot be reached: frames
 * have headers.
 * @module
 */
import type { Setting } from './localnet.ts';

/** A compact reply block with its share of a frame. */
const SURB_BYTES = 374;
/** Of a payload, what is not for reply blocks. */
const PAYLOAD_HEAD_BYTES = 64;

/**
 * Bytes per second, each direction alone. Steady, a download has every reply slot; burst, each main slot can carry as many
 * reply blocks as fit. An upload has every main slot, less the reply blocks that the downlink uses up; in burst mode one
 * block rides along in each packet, since acknowledgements need few.
 */
export function lawOf({ rate, replyRate, downlink, packetSize }: Setting): {
  readonly down: number;
  readonly up: number;
} {
  const blocksPerPacket = Math.floor((packetSize - PAYLOAD_HEAD_BYTES) / SURB_BYTES);
  const replies = downlink === 'steady' ? replyRate : rate * blocksPerPacket;
  const blocks = downlink === 'steady' ? replyRate : rate;
  return { down: replies * packetSize, up: rate * packetSize - blocks * SURB_BYTES };
}
