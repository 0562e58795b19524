/**
 * Sizes, offsets and labels of the wire format (docs/PROTOCOL.md section 2.1).
 * @module
 */

/** Longest route, the last hop included. */
export const MAX_HOPS = 5;

export const POINT_BYTES = 32;
export const MAC_BYTES = 16;
export const ADDRESS_BYTES = 32;
export const IDENTIFIER_BYTES = 16;
export const SEED_BYTES = 16;
export const DELAY_BYTES = 8;

/** flag 1, version 3, address 32, delay 8. */
export const FORWARD_BLOCK_BYTES = 44;
/** flag 1, version 3, destination 32, identifier 16. */
export const FINAL_BLOCK_BYTES = 52;
/** What one hop takes of beta: its block and the MAC of the next header. */
export const STEP_BYTES = FORWARD_BLOCK_BYTES + MAC_BYTES;
export const BETA_BYTES = MAX_HOPS * STEP_BYTES;
/** A node appends one step of zeros to beta before it decrypts: the key stream is that much longer. */
export const STREAM_BYTES = BETA_BYTES + STEP_BYTES;

export const GAMMA_OFFSET = POINT_BYTES;
export const BETA_OFFSET = GAMMA_OFFSET + MAC_BYTES;
/** alpha 32, gamma 16, beta 300. */
export const HEADER_BYTES = BETA_OFFSET + BETA_BYTES;

/** Zero bytes before the message: the end-to-end integrity check of the payload. */
export const ZERO_PREFIX_BYTES = 16;
/** Zero prefix and the marker byte behind the message. */
export const PADDING_BYTES = ZERO_PREFIX_BYTES + 1;
/** Left half of the wide block cipher; a payload must be longer. */
export const LIONESS_LEFT_BYTES = 32;
export const LIONESS_KEY_BYTES = 192;

/** Least plaintext that makes a payload longer than the left half. */
export const MIN_PAYLOAD_BYTES = LIONESS_LEFT_BYTES + 1 - PADDING_BYTES;

export const FLAG_FORWARD = 1;
export const FLAG_FINAL = 2;

/** The version that the network speaks. */
export const WIRE_VERSION = 260;
