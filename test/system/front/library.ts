import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { runProgram } from '../../support/programs.ts';
import { pattern, patternSha256, sha256 } from '../../support/web.ts';
import { DEAD_NAME, type FrontNetwork, HELLO, PTR_ADDRESS, PTR_NAME, SITE } from './world.ts';

type Library = typeof import('../../../index.ts');
/** The built package: its worker threads are compiled files. */
const { fetch, MixError, MixnetAgent, MixnetClient } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as Library;

const EXAMPLE = fileURLToPath(new URL('../../../examples/fetch.mjs', import.meta.url));
const BYTES = 60_000;

/** A client inside this process: streams, look-ups, requests, and a clean end. */
export async function library(t: Test, { network, web }: FrontNetwork): Promise<void> {
  const client = await MixnetClient.join({ network: network.ready.network, allowPrivate: true });
  t.teardown(() => client.close());
  await client.ready();
  t.ok(client.status().ready);

  t.same(await client.resolve(SITE), ['127.0.0.1']);
  t.same(await client.reverse(PTR_ADDRESS), [PTR_NAME]);
  await t.rejects(client.resolve(DEAD_NAME), { code: 'NOT_FOUND' });

  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}); // the last stream is broken off
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  t.teardown(() => echo.close());
  const address = echo.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  noteDestination(port);
  const stream = await client.connect({ host: SITE, port, isolation: 'echo' });
  stream.end(pattern(BYTES, 'library'));
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  t.equal(sha256(Buffer.concat(parts)), patternSha256(BYTES, 'library'));

  const agent = new MixnetAgent({ client });
  const url = `http://${SITE}:${web.port}`;
  const replies = await Promise.all([1, 2, 3].map(() => fetch(`${url}/`, { dispatcher: agent })));
  for (const reply of replies) t.equal(await reply.text(), HELLO);
  const posted = await fetch(`${url}/sha256`, { method: 'POST', body: pattern(BYTES), dispatcher: agent });
  t.equal(await posted.text(), patternSha256(BYTES));
  const failure = await fetch(`http://${DEAD_NAME}/`, { dispatcher: agent }).catch((error: Error) => error.cause);
  t.ok(failure instanceof MixError && failure.code === 'NOT_FOUND', 'a failure has its reason');
  await agent.close();
  t.notOk(client.status().streams.open > 0, 'nothing is left open');

  const open = await client.connect({ host: SITE, port });
  const broken = once(open, 'error');
  await client.close();
  t.match((await broken)[0], { code: 'SESSION_CLOSED' });
  await t.rejects(client.resolve(SITE), { code: 'SESSION_CLOSED' });
}

/** The example of the documentation in a process of its own, which ends when its agent is closed. */
export async function libraryExample(t: Test, { network, web }: FrontNetwork): Promise<void> {
  const args = [EXAMPLE, network.ready.network, `http://${SITE}:${web.port}/`, '--allow-private'];
  const { code, stdout, stderr } = await runProgram(process.execPath, args);
  t.equal(code, 0, stderr);
  t.equal(stdout, HELLO);
}
