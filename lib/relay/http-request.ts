/**
 * An HTTP request over a stream that is there already: no socket is opened and no name resolved.
 * @module
 */
import { type ClientRequest, request } from 'node:http';
import type { Duplex } from 'node:stream';

export interface HttpRequestHead {
  readonly method: string;
  /** Path and query, or `*`. */
  readonly path: string;
  /** All fields but Connection, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Bytes of a response's header. */
  readonly maxHeaderBytes: number;
}

/** The one request of `stream`: it asks the server to close afterwards. The head is sent with the first bytes of the body. */
export function requestOver(stream: Duplex, { method, path, fields, maxHeaderBytes }: HttpRequestHead): ClientRequest {
  const made = request({
    method,
    path,
    headers: [...fields, ['Connection', 'close']].flat() as unknown as Record<string, string>, // Node takes names and values by turns as well
    setHost: false,
    maxHeaderSize: maxHeaderBytes,
    createConnection: () => stream,
  });
  made.maxHeadersCount = 0; // bounded by their bytes
  return made;
}
