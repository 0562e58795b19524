/** `mixsocks connect`, and a proxy that `mixsocks run` starts for itself. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { finished, MAIN, type TestNetwork } from '../../support/localnet.ts';
import type { TestWeb } from '../../support/web.ts';
import { environmentIn, mixsocksIn, startMixsocks } from './world.ts';

const BYTES = 50_000;

async function serve(t: Test, onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return String(port);
}

/** Half-close in both orders, resets, refusals. */
export async function connectStreams(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const echo = await serve(t, (socket) => socket.pipe(socket));
  let onUpload: (bytes: number) => void = () => {};
  const upload = new Promise<number>((resolve) => {
    onUpload = resolve;
  });
  const early = await serve(t, (socket) => {
    let bytes = 0;
    socket.end('said first\n');
    socket.on('data', (part) => {
      bytes += part.byteLength;
    });
    socket.on('end', () => onUpload(bytes));
  });
  const reset = await serve(t, (socket) => {
    socket.write(Buffer.alloc(BYTES));
    socket.once('data', () => socket.resetAndDestroy());
  });
  const connected = async (port: string, input: string, ...more: string[]) => {
    const child = startMixsocks(env, ['connect', ...more, '127.0.0.1', port]);
    child.stdin.on('error', () => {});
    child.stdin.write(input);
    return finished(child);
  };
  const untilReset = async (port: string) => {
    const child = startMixsocks(env, ['connect', '127.0.0.1', port]);
    let [bytes, stderr] = [0, ''];
    child.stdout.on('data', (part) => {
      bytes += part.byteLength;
      if (bytes === BYTES) child.stdin.write('now');
    });
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    const [code] = await once(child, 'close');
    return { code, bytes, stderr };
  };
  const much = 'x'.repeat(BYTES);
  const [there, first, broken, refused, named] = await Promise.all([
    connected(echo, much),
    connected(early, much),
    untilReset(reset),
    connected('1', ''),
    connected(echo, 'hello', '--identity', 'work'),
  ]);
  t.ok(there.stdout === much, `all of it comes back ${there.stderr}`);
  t.equal(there.code, 0);
  t.strictSame([first.code, first.stdout], [0, 'said first\n']);
  t.equal(await upload, BYTES, 'what is sent behind the end of the site arrives');
  t.strictSame([broken.code, broken.bytes], [1, BYTES], 'what came before a reset is delivered');
  t.match(broken.stderr, /^mixsocks connect: the connection was broken off .*\n$/);
  t.strictSame([refused.code, refused.stdout], [1, '']);
  t.match(refused.stderr, /^mixsocks connect: the connection was refused .*\n$/);
  t.equal(named.stdout, 'hello');

  const killed = startMixsocks(env, ['connect', '127.0.0.1', echo]);
  killed.stdin.write('x');
  killed.stdout.once('data', () => killed.kill('SIGTERM'));
  const code = await new Promise((resolve) => killed.once('close', resolve));
  t.equal(code, 143);
  const wrong = await mixsocksIn(env, ['connect', '127.0.0.1', '0']);
  t.equal(wrong.code, 2, 'a wrong command line');
}

/** Started for the command, ready before it, gone after it. */
export async function ownProxy(t: Test, network: TestNetwork, web: TestWeb): Promise<void> {
  const env = { ...environmentIn(network), MIXSOCKS_ALLOW_PRIVATE: 'true' };
  const args = [MAIN, 'run', '--network-file', network.ready.network, '--', 'curl', '-sS', `${web.url}/`];
  const { code, stdout, stderr } = await finished(spawn(process.execPath, args, { env, stdio: 'pipe' }));
  t.equal(code, 0, stderr);
  t.match(stdout, /^hello/);
  t.equal(stderr, 'mixsocks run: starting a proxy, and waiting until it is ready (at most two minutes)\n');
}
