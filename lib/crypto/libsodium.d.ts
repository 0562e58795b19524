/** The part of npm's `libsodium` in use: C functions on the memory of a WebAssembly module, offsets in place of pointers. */
declare module 'libsodium' {
  export interface LibsodiumModule {
    /** All memory. */
    readonly HEAPU8: Uint8Array;
    _malloc(lengthBytes: number): number;
    _crypto_generichash_statebytes(): number;
    _crypto_generichash_init(state: number, key: number, keyBytes: number, digestBytes: number): number;
    /** A length of 64 bits: its low half, then its high half. */
    _crypto_generichash_update(state: number, data: number, lengthLow: number, lengthHigh: number): number;
    _crypto_generichash_final(state: number, digest: number, digestBytes: number): number;
  }
  /** Compiles the module anew; one has nothing in common with another. */
  export default function instantiate(): Promise<LibsodiumModule>;
}
