/** Real sockets through a proxy and an exit, beside a direct connection: bytes and end are the same, whoever breaks off. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { type Breaking, type ReadEnd, readToEnd, sendAndBreak, unread } from '../support/broken-connections.ts';
import { connectRequest, GREETING, serve, startWorld } from '../support/front-world.ts';

const BREAKINGS: readonly Breaking[] = ['reset', 'close over unread bytes', 'fin, then reset'];
/** The middle one fits every buffer; of the last some waits at each of them, and none is lost. */
const SIZES = [0, 20_000, 120_000];
/** More than Node reads ahead. */
const UPLOAD_BYTES = 200_000;

interface Ends {
  readonly program: Socket;
  readonly site: Socket;
}

/** A program's socket and the site's, both paused. */
async function connected(port: number, proxyPort?: number): Promise<Ends> {
  const accepted = new Promise<Socket>((resolve) => sites.set(port, resolve));
  const program = connect({ port: proxyPort ?? port, host: '127.0.0.1', allowHalfOpen: true });
  program.on('error', () => {});
  await once(program, 'connect');
  if (proxyPort !== undefined) {
    program.write(Buffer.concat([GREETING, connectRequest('127.0.0.1', port)]));
    for (let left = 12; left > 0; ) {
      const reply = program.read(left) ?? program.read();
      if (reply === null) await once(program, 'readable');
      else left -= reply.byteLength;
    }
    program.removeAllListeners('readable');
  }
  const site = (await accepted).pause();
  return { program: program.pause(), site };
}

const sites = new Map<number, (socket: Socket) => void>();

t.test('resets through a proxy and an exit are as over a direct connection', async (t) => {
  const world = await startWorld();
  const server = await serve((socket) => sites.get((server as { port: number }).port)?.(socket.pause()));
  t.teardown(async () => {
    await world.stop();
    await server.close();
  });

  const run = async (proxyPort: number | undefined, plan: Plan): Promise<ReadEnd> => {
    const { program, site } = await connected(server.port, proxyPort);
    const [breaker, reader] = plan.breaker === 'site' ? [site, program] : [program, site];
    if (plan.breaking === 'close over unread bytes') {
      reader.write(new Uint8Array(UPLOAD_BYTES));
      await unread(breaker);
    }
    const end = plan.late ? undefined : readToEnd(reader);
    await sendAndBreak(breaker, plan.bytes, plan.breaking);
    const result = await (end ?? readToEnd(reader));
    program.destroy();
    site.destroy();
    return result;
  };

  for (const plan of plans()) {
    const { breaker, bytes, breaking, late } = plan;
    const title = `the ${breaker} sends ${bytes} bytes, ${breaking}; the other ${late ? 'reads only then' : 'reads'}`;
    const expected = { bytes, how: breaking === 'fin, then reset' ? 'fin' : 'reset' };
    t.same(await run(undefined, plan), expected, `direct: ${title}`);
    t.same(await run(world.port, plan), expected, `relayed: ${title}`);
  }
});

interface Plan {
  readonly breaker: 'site' | 'program';
  readonly breaking: Breaking;
  readonly bytes: number;
  readonly late: boolean;
}

function* plans(): Generator<Plan> {
  for (const breaker of ['site', 'program'] as const)
    for (const breaking of BREAKINGS)
      for (const bytes of SIZES)
        for (const late of bytes === 0 ? [false] : [false, true]) yield { breaker, breaking, bytes, late };
}
