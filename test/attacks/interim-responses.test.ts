/**
 * A site answers a plain HTTP request with interim responses (RFC 9110 section 15.2) without end, to a program that does not read them
 * meanwhile. They are no part of a response, whose bytes wait in the mixnet for the program.
 */
import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startFront } from '../../proxy/front/front.ts';
import { RawClient } from '../support/front-world.ts';
import { HttpClient } from '../support/http-site.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const BOUND = { host: '0.0.0.0', port: 0 };
const HINTS = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(48_000)}>\r\n\r\n`);
/** Many times what the system keeps of a connection whose end does not read. */
const COUNT = 600;

t.test('interim responses that nobody reads are left out, and the response comes', async (t) => {
  const opener = new ScriptedOpener();
  const components = { clock: new VirtualClock(), log: silentLog, metrics: new Metrics(), rng: systemRng };
  const front = await startFront({ listen: '127.0.0.1:0', opener, components });
  t.teardown(() => front.stop());
  const raw = await RawClient.connect(Number(front.listen.split(':')[1]));
  t.teardown(() => raw.socket.destroy());
  const asked = new HttpClient(raw).send('GET http://a.example/ HTTP/1.1\r\nHost: x\r\n\r\n');
  const site = await opener.stream(0);
  await site.until(() => site.written.includes('GET / '));
  raw.socket.pause();
  site.handlers.onOpened(BOUND);
  for (let i = 0; i < COUNT; i++) site.handlers.onData(HINTS);
  site.handlers.onData(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone.'));
  await site.until(() => site.consumed >= COUNT * HINTS.length);
  raw.socket.resume();
  const answer = await asked.upTo('done.');
  t.ok(answer.startsWith('HTTP/1.1 103 '), 'some came');
  t.ok(answer.length < (COUNT * HINTS.length) / 2, `${answer.length} of ${COUNT * HINTS.length} bytes`);
  t.match(answer.slice(-200), /HTTP\/1\.1 200 OK\r\n/);
});
