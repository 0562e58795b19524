/** What a role says to its service manager, and when it says nothing. */
import t from 'tap';
import { ServiceManager } from '../../cli/service-manager.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';

t.test('messages go out in order, a status only when it is new', async (t) => {
  const sent: string[] = [];
  let finish: (() => void)[] = [];
  const manager = new ServiceManager((text) => {
    sent.push(text);
    return new Promise((resolve) => finish.push(resolve));
  }, silentLog);
  const turn = async () => {
    for (const done of finish.splice(0)) done();
    await new Promise(setImmediate);
  };
  void manager.ready();
  manager.status(['no link to a gateway is up', 'and another']);
  manager.status(['no link to a gateway is up']);
  manager.status([]);
  await new Promise(setImmediate);
  t.strictSame(sent, ['READY=1'], 'one at a time');
  for (let i = 0; i < 4; i++) await turn();
  t.strictSame(sent, ['READY=1', 'STATUS=no link to a gateway is up', 'STATUS=ready']);
  finish = [];
});

t.test('a program that fails is complained about once, and nothing ends for it', async (t) => {
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (_fields, message) => warned.push(message) };
  const manager = new ServiceManager(() => Promise.reject(new Error('code 1')), log);
  await manager.ready();
  await manager.stopping();
  t.equal(warned.length, 1);
});

t.test('there is a manager where the environment names one, and for the service itself only', async (t) => {
  const present = (env: Record<string, string>, isChild: boolean) => ServiceManager.of(env, isChild, silentLog).present;
  t.equal(present({ NOTIFY_SOCKET: '/run/systemd/notify' }, false), true);
  t.equal(present({ NOTIFY_SOCKET: '/run/systemd/notify' }, true), false, 'what localnet or run has started');
  t.equal(present({ NOTIFY_SOCKET: '' }, false), false);
  t.equal(present({}, false), false);
});
