import type { Crypto, CryptoChoice } from './types.ts';

export function createCrypto(choice: CryptoChoice = 'fastest'): Crypto {
  throw new Error(`not built yet: ${choice}`);
}
