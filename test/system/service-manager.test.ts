/** A role that a service manager runs: it is notified on a socket of the test's own, by the program that systemd brings. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ENDS_WITH_US, MAIN, mixsocks, until } from '../support/localnet.ts';

/** Node.js has no datagrams on unix sockets. What it does not take of a message (a descriptor, to wait for) the kernel closes. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;

const lacking = ['python3', 'systemd-notify'].filter((name) => spawnSync(name, ['--version']).status !== 0);

/** A socket, and the messages that come to it. */
async function listen(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-notify-')); // the path of a socket must be short
  t.teardown(() => rmSync(dir, { recursive: true }));
  const socket = join(dir, 'notify');
  const child = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  while (!text.includes('bound')) await once(child.stdout, 'data');
  const messages = () => text.split('\n').filter((line) => /^(READY|RELOADING|STOPPING|STATUS)=/.test(line));
  return { socket, messages };
}

t.test('a service says that it is ready, reloads, what it lacks, and that it stops', async (t) => {
  if (lacking.length > 0) {
    process.stderr.write(`NO ${lacking.join(' AND NO ').toUpperCase()} HERE: what a service says is NOT TESTED\n`);
    t.pass('notifies', { skip: `no ${lacking.join(', no ')}` });
    return;
  }
  const folder = t.testdir({ 'policy.txt': 'reject *:25\n' });
  const policy = join(folder, 'policy.txt');
  const networkFile = join(folder, 'network.json');
  // Of an authority that is not there: a requester runs all the same, and waits for it.
  const authorities = [{ id: 'ab'.repeat(32), url: 'http://127.0.0.1:9' }];
  const network = { name: 'nobody', epochSeconds: 3600, payloadBytes: 2048, authorities, threshold: 1 };
  writeFileSync(networkFile, JSON.stringify(network));
  const dir = join(folder, 'requester');
  const made = await mixsocks(['init', 'requester', '--dir', dir, '--network-file', networkFile]);
  t.equal(made.code, 0, made.stderr);

  const { socket, messages } = await listen(t);
  const role = spawn(
    process.execPath,
    [...ENDS_WITH_US, MAIN, 'requester', '--dir', dir, '--exit-policy-file', policy],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NOTIFY_SOCKET: socket } },
  );
  t.teardown(() => role.kill('SIGKILL'));
  let log = '';
  role.stderr.setEncoding('utf8').on('data', (part: string) => {
    log += part;
  });
  const said = (count: number) => until(`${count} messages`, 60_000, () => messages().length >= count);
  await said(2);
  t.strictSame(messages(), ['READY=1', 'STATUS=there is no consensus in force'].concat(messages().slice(2)));

  role.kill('SIGHUP');
  await said(4);
  t.strictSame(messages().slice(2), ['RELOADING=1', 'READY=1']);
  t.match(log, /the exit policy was read again/);
  writeFileSync(policy, 'accept nonsense\n');
  role.kill('SIGHUP');
  await said(6);
  t.match(log, /the exit policy was not changed/);
  t.equal(role.exitCode, null, 'and it runs on with the old one');

  const ended = once(role, 'exit');
  role.kill('SIGTERM');
  t.strictSame(await ended, [0, null], log);
  await said(7);
  t.equal(messages().at(-1), 'STOPPING=1');
  t.notMatch(log, /could not be notified/);
});
