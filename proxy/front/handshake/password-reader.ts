/**
 * Reads one user name and password message (RFC 1929 section 2): version 1, length and user, length and password. State
 * is per connection. Lengths of zero are against the RFC and sent in practice (curl, with an empty password).
 * @module
 */

export type PasswordResult =
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed' }
  /** Both fields with their lengths, as latin-1, so that `a`+`bc` and `ab`+`c` differ. */
  | { readonly kind: 'done'; readonly credentials: string; readonly rest: Uint8Array };

const VERSION = 1;

export class PasswordReader {
  /** At most 513 bytes long: version, and two fields of a length byte and up to 255 bytes. */
  #message: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): PasswordResult {
    const message = Buffer.concat([this.#message, bytes]);
    if (message.byteLength > 0 && message[0] !== VERSION) return { kind: 'malformed' };
    const end = messageEnd(message);
    if (end === undefined) {
      this.#message = message;
      return { kind: 'more' };
    }
    return { kind: 'done', credentials: message.toString('latin1', 1, end), rest: message.subarray(end) };
  }
}

/** Where the message ends, or undefined while it is incomplete. */
function messageEnd(message: Uint8Array): number | undefined {
  const userLength = message[1];
  if (userLength === undefined) return undefined;
  const passwordLength = message[2 + userLength];
  if (passwordLength === undefined) return undefined;
  const end = 3 + userLength + passwordLength;
  return message.byteLength < end ? undefined : end;
}
