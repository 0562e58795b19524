/**
 * mixsocks as a library (docs/LIBRARY.md): a client of the mixnet inside a program, and an undici dispatcher on top of it.
 * @module
 */
export { fetch } from 'undici';
export { type AgentTerms, MixnetAgent, type MixnetAgentOptions } from './client/agent.ts';
export {
  type LookUpOptions,
  MixnetClient,
  MixnetStream,
  type Status,
  type Target,
  type WaitOptions,
} from './client/client.ts';
export type { MixnetOptions, NetworkDescription } from './client/options.ts';
export { type ErrorCode, MixError } from './lib/core/errors.ts';
export type { Log } from './lib/telemetry/log.ts';
