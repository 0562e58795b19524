/** A front whose process has no time: what applications have sent meanwhile is not their silence. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { DEFAULT_FRONT_LIMITS } from '../../proxy/config.ts';
import { connectRequest, eventually, GREETING } from '../support/front-world.ts';
import { world } from '../support/scripted-front.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const CHILD = fileURLToPath(new URL('../support/stopped-front.mjs', import.meta.url));
/** More than the 511 that Node has the kernel keep, fewer than a front serves. */
const APPLICATIONS = 900;

/** A front in a process that has been stopped since it listens; where it listens. */
async function stoppedFront(t: Test, listener: string): Promise<string> {
  const child = spawn(process.execPath, [CHILD, listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGSTOP');
  return line.toString().trim();
}

async function connectAll(t: Test, open: () => Socket): Promise<number> {
  const sockets = Array.from({ length: APPLICATIONS }, open);
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return sockets.length;
}

t.test('as many applications as a front serves can connect before it has the time to look', async (t) => {
  const [host = '', port] = (await stoppedFront(t, '127.0.0.1:0')).split(':');
  t.equal(await connectAll(t, () => connect(Number(port), host)), APPLICATIONS);
  const folder = await mkdtemp(join(tmpdir(), 'front-')); // the path of a socket is short
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 's');
  await stoppedFront(t, `unix:${path}`);
  t.equal(await connectAll(t, () => connect(path)), APPLICATIONS, 'by a socket file');
});

/** Virtual time in a real event loop: when time has passed, what has come in is read before `soon`. */
class LoopClock extends VirtualClock {
  override soon(fire: () => void): void {
    setImmediate(fire);
  }
}

t.test('a request that has come while the process was busy is served, however long that took', async (t) => {
  for (const request of [
    [GREETING, connectRequest('example.org', 443)],
    [Buffer.from('GET http://exam'), Buffer.from('ple.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n')],
  ]) {
    const clock = new LoopClock();
    const { client, opener } = await world(t, { clock });
    const raw = await client();
    await eventually(() => clock.pending > 0);
    raw.socket.write(request[0] ?? '');
    if (request[0] === GREETING) await raw.bytes(2);
    setTimeout(() => {
      raw.socket.write(request[1] ?? '');
      clock.advance(DEFAULT_FRONT_LIMITS.handshakeMs); // timers come before sockets in a turn of the loop
    });
    const stream = await Promise.race([opener.stream(0), raw.gone()]);
    t.match(stream?.target, { host: 'example.org' });
  }
});

t.test('each message of a handshake has its own time', async (t) => {
  const { clock, client, metrics, opener } = await world(t);
  const most = DEFAULT_FRONT_LIMITS.handshakeMs;
  const raw = await client();
  clock.advance(most - 1);
  raw.socket.write(GREETING);
  await raw.bytes(2);
  clock.advance(most - 1);
  raw.socket.write(connectRequest('example.org', 443));
  await opener.stream(0);

  const trickling = await client();
  trickling.socket.write(GREETING.subarray(0, 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(most - 1);
  trickling.socket.write(GREETING.subarray(1, 2));
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(1);
  await trickling.gone();
  t.match(await metrics.text(), /handshakes_failed_total\{reason="TIMEOUT"\} 1/, 'not each byte');
});
