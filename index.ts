/**
 * mixsocks as a library (docs/LIBRARY.md): a client of the mixnet inside a program, and an undici dispatcher on top of it.
 * @module
 */
export { fetch } from 'undici';
export { type ErrorCode, MixError } from './lib/errors.ts';
export type { Log } from './lib/log.ts';
export { type AgentTerms, MixnetAgent, type MixnetAgentOptions } from './library/agent.ts';
export { type LookUpOptions, MixnetClient, type Target, type WaitOptions } from './library/client.ts';
export type { MixnetOptions, NetworkDescription } from './library/options.ts';
export { MixnetStream } from './library/stream.ts';
export type { Status } from './proxy/status.ts';
