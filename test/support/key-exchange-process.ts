/**
 * One end of a link as a process, for tests with two versions of Node.js: `accept KEY-EXCHANGE` listens and sends where,
 * `dial KEY-EXCHANGE TARGET` dials once and sends what became of it. It ends with its parent's channel.
 */
import { hasHybrid, type KeyExchange } from '../../lib/link/key-exchange.ts';
import { dialOnce } from './key-exchange-ends.ts';
import { testListener } from './link-fixtures.ts';

const [task, keyExchange, target] = process.argv.slice(2) as ['accept' | 'dial', KeyExchange, string];
process.on('disconnect', () => process.exit());
if (task === 'accept') {
  const listener = await testListener({ keyExchange });
  process.send?.({ version: process.version, hybrid: hasHybrid(), target: listener.target() });
} else {
  process.send?.(await dialOnce(JSON.parse(target), keyExchange));
}
