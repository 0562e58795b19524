/**
 * The primitives that mixsocks stands on, behind one interface. Several libraries implement each of them; all give the
 * same bytes (test/property/crypto-differential.test.ts), and `loadCrypto` takes the fastest one that works.
 * @module
 */
export { isSmallOrderPoint } from './checks.ts';
export { availableBackends, createCrypto, loadCrypto, missingLibrary } from './select.ts';
export type { Backend, Crypto, Primitive, Primitives } from './types.ts';
