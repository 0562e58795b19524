/**
 * The transport: sessions and streams over Sphinx packets (docs/PROTOCOL.md section 6).
 *
 * `ProxySession` is the proxy's end; `SessionTable` and the `RequesterSession`s in it are the requester's.
 * @module
 */

export { ProxySession, type ProxySessionState } from './proxy-session.ts';
export { RequesterSession } from './requester-session.ts';
export { SessionTable } from './session-table.ts';
export type * from './types.ts';
