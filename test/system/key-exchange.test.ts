/**
 * The key exchange of links between two runtimes: this one, and the one that MIXSOCKS_OTHER_NODE names (`.ci/node26` does),
 * as processes with real sockets. Without that, between two processes of this one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { CLASSICAL_GROUP, HYBRID_GROUP, hasHybrid, type KeyExchange } from '../../lib/link/key-exchange.ts';
import type { PeerTarget } from '../../lib/link/types.ts';
import { dialOnce, type Outcome } from '../support/key-exchange-ends.ts';
import { testListener } from '../support/link-fixtures.ts';

const otherNode = process.env.MIXSOCKS_OTHER_NODE;
const skip = otherNode === undefined ? 'MIXSOCKS_OTHER_NODE NAMES NO OTHER NODE.JS' : false;
const TYPESCRIPT = new URL('../support/typescript.mjs', import.meta.url).href;
const program = fileURLToPath(new URL('../support/key-exchange-process.ts', import.meta.url));

interface OtherEnd {
  readonly version: string;
  readonly hybrid: boolean;
  readonly target: PeerTarget;
}

/** Starts the other runtime; the first message it sends. */
async function other<Message>(t: Test, ...args: string[]): Promise<Message> {
  const child = fork(program, args, { execPath: otherNode ?? process.execPath, execArgv: [`--import=${TYPESCRIPT}`] });
  t.teardown(async () => {
    if (child.exitCode !== null) return;
    child.disconnect();
    await once(child, 'exit');
  });
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the other end ended with ${code}`))),
  ]);
  return message as Message;
}

/** What the dialling end says of a link from this runtime to the other, and from the other to this one. */
async function links(t: Test, ours: KeyExchange, theirs: KeyExchange): Promise<{ there: Outcome; back: Outcome }> {
  const { target } = await other<OtherEnd>(t, 'accept', theirs);
  const there = await dialOnce(target, ours);
  const listener = await testListener({ keyExchange: ours });
  const back = await other<Outcome>(t, 'dial', theirs, JSON.stringify(listener.target()));
  await listener.close();
  return { there, back };
}

t.test('two runtimes, one with the hybrid and one without', { skip }, async (t) => {
  const { hybrid: otherHasIt, version } = await other<OtherEnd>(t, 'accept', 'any');
  t.comment(`this is Node.js ${process.version}, the other ${version}`);
  const mixed = otherHasIt === hasHybrid() ? { skip: `BOTH HAVE ${otherHasIt ? 'THE' : 'NO'} HYBRID` } : {};

  t.test('agree on X25519 where both take any group', mixed, async (t) => {
    const { there, back } = await links(t, 'any', 'any');
    t.match([there, back], [{ group: CLASSICAL_GROUP }, { group: CLASSICAL_GROUP }]);
  });

  t.test('have no link where the new one takes the hybrid alone, and the dialling one says why', mixed, async (t) => {
    const [ours, theirs]: [KeyExchange, KeyExchange] = hasHybrid() ? ['hybrid', 'any'] : ['any', 'hybrid'];
    const { there, back } = await links(t, ours, theirs);
    const [byNew, byOld] = hasHybrid() ? [there, back] : [back, there];
    t.match(byNew, {
      group: '',
      reason: 'no-common-group',
      refusals: [/takes X25519MLKEM768 alone .*run that on Node\.js 24/],
    });
    t.match(byOld, {
      group: '',
      reason: 'no-common-group',
      refusals: [/takes X25519 alone \(Node\.js v.*run this end on Node\.js 24/],
    });
  });
});

t.test('two processes of one runtime agree on the hybrid where it has it', async (t) => {
  const { target, hybrid } = await other<OtherEnd>(t, 'accept', 'any');
  const dialled = await other<Outcome>(t, 'dial', hybrid ? 'hybrid' : 'any', JSON.stringify(target));
  t.equal(dialled.group, hybrid ? HYBRID_GROUP : CLASSICAL_GROUP);
});
