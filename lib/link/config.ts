/**
 * The option of every end of links.
 * @module
 */
import { z } from 'zod';
import { KEY_EXCHANGES, type KeyExchange, keyExchangeFault } from './key-exchange.ts';

/** Refuses, with what to do, what this runtime does not have. */
export const linkKeyExchange = z
  .enum(KEY_EXCHANGES)
  .refine((choice) => keyExchangeFault(choice) === undefined, {
    error: ({ input }) => keyExchangeFault(input as KeyExchange) ?? '',
  })
  .default('any')
  .describe(
    'key exchange of links: hybrid is X25519MLKEM768, of which a later quantum computer cannot read recordings, and refuses an end without it (before Node.js 24); any prefers it and takes X25519 too',
  );
