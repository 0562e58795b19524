/**
 * The transport: sessions and streams over Sphinx packets (docs/PROTOCOL.md section 6).
 *
 * `ProxySession` is the proxy's end; `SessionTable` and the `RequesterSession`s in it are the requester's.
 * @module
 */

export { SESSION_VERSIONS } from '../transport/limits.ts';
export type * from '../transport/types.ts';
export { ProxySession } from './proxy/proxy-session.ts';
export { RequesterSession } from './requester/requester-session.ts';
export { SessionTable } from './requester/session-table.ts';
