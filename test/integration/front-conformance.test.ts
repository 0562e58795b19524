import t from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startFront } from '../../proxy/front/front.ts';
import { runRows } from '../support/front-rows.ts';
import { SIDE_ROWS } from '../support/front-rows-side.ts';
import { connectRequest, GREETING, RawClient, startWorld } from '../support/front-world.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

t.test('a front and an egress keep to the table', async (t) => {
  const lines: string[] = [];
  const note = (fields: object, message: string) => lines.push(JSON.stringify(fields) + message);
  const log: Log = { ...silentLog, info: note, warn: note, error: note, child: () => log };
  const listen = (options: string) => `127.0.0.1:0${options}`;
  const { front, stop } = await startWorld({
    log,
    front: {
      listen: [listen(''), listen('+allow-private=no'), listen('+safe-socks'), listen('+extended-errors')],
    },
  });
  t.teardown(stop);
  const at = { plain: 0, strict: 1, safe: 2, extended: 3 };
  const place = (listener: keyof typeof at) => Number(front.listens[at[listener]]?.split(':')[1]);
  await runRows(t, { place, patienceMs: 100 });
  await runRows(t, { place, patienceMs: 100 }, SIDE_ROWS);

  const text = lines.join('\n');
  for (const word of ['localhost', 'invalid', 'onion', 'printer', '127.0.0.1:8', 'intranet', '93.184', 'alice']) {
    t.notMatch(text, word, 'no destination and no credentials are logged at info or above');
  }
});

t.test('what the mixnet lacks is told at once, each with its code', async (t) => {
  const opener = new ScriptedOpener();
  const clock = new VirtualClock();
  const front = await startFront({
    listen: ['127.0.0.1:0', '127.0.0.1:0+extended-errors'],
    opener,
    components: { clock, log: silentLog, metrics: new Metrics(), rng: systemRng },
  });
  t.teardown(() => front.stop());
  const ask = async (bytes: Buffer | string, index: number) => {
    const raw = await RawClient.connect(Number(front.listens[index]?.split(':')[1]));
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(bytes);
    return raw;
  };
  const socks5 = Buffer.concat([GREETING, connectRequest('example.org', 443)]);
  const http = 'CONNECT example.org:443 HTTP/1.1\r\n\r\n';
  const table = [
    ['NO_CONSENSUS', 3, 0xf0, 503],
    ['NO_GATEWAY', 3, 0xf1, 503],
    ['NO_REQUESTER', 3, 0xf2, 503],
    ['NO_ROUTE', 3, 0xf3, 503],
    ['LIMIT', 1, 0xf6, 503],
    ['SESSION_CLOSED', 1, 0xf7, 502],
    ['TIMEOUT', 6, 6, 504],
    ['HOST_UNREACHABLE', 4, 4, 502],
    ['NET_UNREACHABLE', 3, 3, 502],
    ['POLICY', 2, 2, 403],
  ] as const;
  for (const [code, reply, extended, status] of table) {
    opener.error = new MixError(code, 'as the test says');
    t.equal((await (await ask(socks5, 0)).rest())[3], reply, code);
    t.equal((await (await ask(socks5, 1)).rest())[3], extended, `${code}, extended`);
    const answer = (await (await ask(http, 0)).rest()).toString();
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} .*Mixsocks-Error: ${code}\r\n`, 's'));
  }
  t.equal(clock.nowMs(), 0, 'no time has passed');

  opener.error = undefined;
  const raw = await ask(socks5, 0);
  const stream = await opener.stream(0);
  clock.advance(DEFAULT_SESSION_PARAMS.openTimeoutMs);
  t.equal((await raw.rest())[3], 6, 'Firefox shows its time-out page for 6');
  t.equal(stream.resetCode, 'TIMEOUT');
});
