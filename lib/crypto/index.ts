/**
 * The primitives that mixsocks stands on, behind one interface. Several libraries implement each of them; all give the
 * same bytes (test/property/crypto-differential.test.ts), and `createCrypto` takes the fastest one that loads.
 * @module
 */
export type { BackendName, Crypto, CryptoChoice } from './types.ts';
export { createCrypto } from './select.ts';
