/**
 * Fetches a page through the mixnet, without a local port:
 *
 *   npm run build && node examples/fetch.mjs network.json https://example.org/
 *
 * `mixsocks localnet --ready-file ready.json` tells in that file where its network.json is.
 */
import { fetch, MixError, MixnetAgent } from 'mixsocks';

const [network, url, ...flags] = process.argv.slice(2);
if (network === undefined || url === undefined) {
  process.stderr.write('usage: node examples/fetch.mjs NETWORK.json URL [--allow-private]\n');
  process.exit(2);
}

// Cover traffic starts here, and goes on until the agent is closed.
const agent = new MixnetAgent({ network, allowPrivate: flags.includes('--allow-private') });
try {
  const reply = await fetch(url, { dispatcher: agent });
  process.stderr.write(`${reply.status} ${reply.statusText}\n`);
  for await (const part of reply.body) process.stdout.write(part);
} catch (error) {
  const cause = error.cause instanceof MixError ? error.cause : error;
  process.stderr.write(`${cause.code ?? cause.name}: ${cause.message}\n`);
  process.exitCode = 1;
} finally {
  await agent.close();
}
