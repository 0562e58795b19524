import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { gitBackend, runProgram } from '../../support/programs.ts';
import { pattern } from '../../support/web.ts';
import { type FrontNetwork, SITE } from './world.ts';

const HELPER = fileURLToPath(new URL('../../support/connect-helper.mjs', import.meta.url));
const FILE_BYTES = 100_000;

/** A repository with two commits, served as git's own web server does it; the port. */
export async function serveRepository(t: Test, folder: string): Promise<number> {
  const work = join(folder, 'work');
  const git = (...args: string[]) => runProgram('git', ['-C', work, ...args]);
  for (const args of [
    ['init', '-q'],
    ['add', '.'],
    ['commit', '-q', '-m', 'one'],
  ])
    await git(...args);
  await git('commit', '-q', '--allow-empty', '-m', 'two');
  await runProgram('git', ['clone', '-q', '--bare', work, join(folder, 'project.git')]);
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = '', url = '' } = request;
    const type = request.headers['content-type'] ?? '';
    const answer = await gitBackend(folder, { method, url, type, body: Buffer.concat(parts) });
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return port;
}

/** `git clone` over http, by the line that the README gives. */
export async function gitClone(t: Test, { network }: FrontNetwork): Promise<void> {
  const folder = t.testdir({ work: { file: pattern(FILE_BYTES, 'git') } });
  const port = await serveRepository(t, folder);
  const clone = join(folder, 'clone');
  const config = ['-c', `http.proxy=socks5h://${network.socks}`];
  const { code, stderr } = await runProgram('git', [...config, 'clone', `http://${SITE}:${port}/project.git`, clone]);
  t.equal(code, 0, stderr);
  t.ok(readFileSync(join(clone, 'file')).equals(pattern(FILE_BYTES, 'git')), 'the file is there');
  const log = await runProgram('git', ['-C', clone, 'log', '--format=%s']);
  t.equal(log.stdout, 'two\none\n', 'and all commits');
}

/**
 * ssh through a helper that speaks CONNECT, as far as it goes without a server of ssh: both sides' greetings and the
 * client's offer of keys.
 */
export async function sshGreets(t: Test, { network }: FrontNetwork): Promise<void> {
  let heard = Buffer.alloc(0);
  const server = createTcpServer((socket) => {
    socket.write('SSH-2.0-mixsocks_test\r\n');
    socket.on('error', () => {});
    socket.on('data', (part) => {
      heard = Buffer.concat([heard, part]);
      if (heard.includes('curve25519-sha256')) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  const helper = [process.execPath, HELPER, ...network.socks.split(':'), '%h', '%p'].join(' ');
  const options = [`ProxyCommand=${helper}`, 'BatchMode=yes', 'UserKnownHostsFile=/dev/null'];
  const args = ['-v', '-F', '/dev/null', ...options.flatMap((option) => ['-o', option]), '-p', String(port)];
  const { code, stderr } = await runProgram('ssh', [...args, `alice@${SITE}`, 'true']);
  t.equal(code, 255, 'it is no real server');
  t.match(stderr, /remote software version mixsocks_test/, 'ssh heard the server');
  t.match(heard.toString('latin1'), /^SSH-2\.0-OpenSSH.*\r\n[\s\S]*curve25519-sha256/, 'and the server ssh');
}

/** The helper alone: bytes there and back, and the end of one direction before the other. */
export async function tunnelByHelper(t: Test, { network }: FrontNetwork): Promise<void> {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const parts: Buffer[] = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('end', () => socket.end(`got ${Buffer.concat(parts)}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  const args = [HELPER, ...network.socks.split(':'), SITE, String(port)];
  const { stdout, stderr } = await runProgram(process.execPath, args, 'what was sent');
  t.equal(stdout, 'got what was sent', stderr);
}
