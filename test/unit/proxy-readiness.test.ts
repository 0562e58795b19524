import t from 'tap';
import { type ErrorCode, MixError } from '../../lib/core/errors.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Readiness } from '../../proxy/readiness.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

t.test('the log hears of each change once, and not of what is short', async (t) => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  let missing: ErrorCode | undefined = 'NO_CONSENSUS';
  const readiness = new Readiness({
    clock,
    log: {
      ...silentLog,
      info: (_fields, message) => lines.push(message),
      warn: (fields, message) => lines.push(`${message} ${(fields as { reason: string }).reason}`),
    },
    obstacle: () => (missing === undefined ? undefined : new MixError(missing, `because of ${missing}`)),
  });
  t.equal(clock.pending, 0, 'nothing runs before it is started');
  readiness.start();
  const pass = (ms: number, now: ErrorCode | undefined): string[] => {
    missing = now;
    clock.advance(ms);
    return lines.splice(0);
  };
  t.same(pass(4000, 'NO_CONSENSUS'), [], 'it may be about to come');
  t.same(pass(30_000, 'NO_CONSENSUS'), ['not ready: requests fail because of NO_CONSENSUS']);
  t.same(pass(30_000, 'NO_GATEWAY'), ['not ready: requests fail because of NO_GATEWAY']);
  t.same(pass(30_000, undefined), ['ready: there is a way through the network']);
  t.same(pass(4000, 'NO_GATEWAY'), [], 'a gateway was changed');
  t.same(pass(30_000, undefined), []);
  t.same(pass(30_000, 'NO_GATEWAY'), ['not ready: requests fail because of NO_GATEWAY']);
  t.same(pass(1000, undefined), ['ready: there is a way through the network']);
  readiness.stop();
  t.same(pass(60_000, 'NO_GATEWAY'), []);
});
