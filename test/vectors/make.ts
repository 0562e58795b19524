/**
 * `npm run vectors:make`: writes the vectors of all kinds anew. Everything random in them follows from labels, so that the
 * files change only when the protocol or the list of samples does.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { createCrypto } from '../../lib/crypto/index.ts';
import { FILES, fileText, makeVectors } from './bundled.ts';

const crypto = createCrypto('fastest');
for (const [file, kinds] of Object.entries(FILES)) {
  const vectors = await makeVectors(crypto, kinds);
  writeFileSync(new URL(file, import.meta.url), fileText(vectors));
  process.stdout.write(`${file}: ${vectors.length} vectors\n`);
}
