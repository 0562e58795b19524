/**
 * A plain stream through the mixnet: sends standard input to a host and port, prints what comes back.
 *
 *   npm run build && printf 'HEAD / HTTP/1.0\r\n\r\n' | node examples/stream.mjs network.json example.org 80
 */
import { pipeline } from 'node:stream/promises';
import { MixError, MixnetClient } from 'mixsocks';

const [network, host, port, ...flags] = process.argv.slice(2);
if (network === undefined || host === undefined || port === undefined) {
  process.stderr.write('usage: node examples/stream.mjs NETWORK.json HOST PORT [--allow-private]\n');
  process.exit(2);
}

const client = await MixnetClient.join({ network, allowPrivate: flags.includes('--allow-private') });
try {
  await client.ready();
  const { gateway, rates } = client.status();
  process.stderr.write(`in the network by ${gateway?.name}, ${rates.main.set} packets per second\n`);
  const stream = await client.connect({ host, port: Number(port) });
  // Each half ends on its own: standard input's end is told to the host, whose answer may still come.
  await Promise.all([pipeline(process.stdin, stream), pipeline(stream, process.stdout, { end: false })]);
} catch (error) {
  process.stderr.write(`${error instanceof MixError ? error.code : error.name}: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await client.close();
}
