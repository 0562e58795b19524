/**
 * Lets node import TypeScript: `node --import=./test/support/typescript.mjs FILE.ts`. tsx does as well, but has every
 * function named again whenever it is made (esbuild's `keepNames`), those of packages too: simulations take a quarter longer,
 * cryptography in JavaScript several times as long.
 * @module
 */
import module from 'node:module';
import * as hooks from './typescript-hooks.mjs';

process.setSourceMapsEnabled(true);
if (module.registerHooks === undefined) module.register('./typescript-hooks.mjs', import.meta.url);
else module.registerHooks({ load: hooks.loadSync });
