/** What `mixsocks connect` makes of a proxy's answers. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { ANSWER_TIMEOUT_MS, openTunnel } from '../../cli/connect/tunnel.ts';

/** Asks a proxy that gives `answer`; what was asked, and what came of it. */
async function ask(t: Test, answer: string | undefined, timeoutMs?: number) {
  let asked = '';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      asked += bytes;
      if (asked.endsWith('\r\n\r\n') && answer !== undefined) socket.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const place = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const login = { user: 'a', password: 'x' };
  const tunnel = openTunnel({ place, login, host: '2001:db8::1', port: 443 }, timeoutMs);
  return { tunnel, asked: () => asked };
}

const failure = (status: string, code: string) =>
  `HTTP/1.1 ${status}\r\nMixsocks-Error: ${code}\r\nContent-Length: 0\r\n\r\n`;

t.test('a tunnel, with what came behind the answer', async (t) => {
  const { tunnel, asked } = await ask(t, 'HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0');
  const { socket, early } = await tunnel;
  t.equal(Buffer.from(early).toString(), 'SSH-2.0');
  socket.destroy();
  t.match(asked(), /^CONNECT \[2001:db8::1\]:443 HTTP\/1\.1\r\n/);
  t.match(asked(), /\r\nProxy-Authorization: Basic YTp4\r\n/i);
});

t.test('a refusal has the code of the table, and so its exit code', async (t) => {
  for (const [code, exitCode] of [
    ['NOT_FOUND', 1],
    ['POLICY', 1],
    ['NO_CONSENSUS', 7],
  ] as const) {
    const { tunnel } = await ask(t, failure('503 Service Unavailable', code));
    await t.rejects(tunnel, { code, facts: { exitCode } });
  }
});

t.test('what is no proxy of ours is called so', async (t) => {
  for (const answer of ['SSH-2.0-OpenSSH_9\r\n', 'HTTP/1.1 503 No\r\n\r\n', failure('503 No', 'toString')]) {
    const { tunnel } = await ask(t, answer);
    await t.rejects(tunnel, { code: 'MALFORMED', message: /no proxy of mixsocks/ }, answer);
  }
});

t.test('a proxy that says nothing is waited for two minutes', async (t) => {
  t.equal(ANSWER_TIMEOUT_MS, 120_000);
  const { tunnel } = await ask(t, undefined, 50);
  await t.rejects(tunnel, { code: 'TIMEOUT' });
});
