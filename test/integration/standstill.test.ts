/** A process that has stood still for longer than its time-outs: others have answered meanwhile, and are not taken for silent. */
import t from 'tap';
import { type HttpReply, sendWithin, type Transport } from '../../lib/directory/client/transport.ts';
import { SUSPICION_MS } from '../../lib/link/frame-socket.ts';
import { HubStream } from '../../lib/session/proxy/hub-stream.ts';
import { WaitingStreams } from '../../lib/session/proxy/waiting-streams.ts';
import type { AddressRecord, DnsQueries } from '../../network-requester/dns/dns-queries.ts';
import { SystemResolver } from '../../network-requester/dns/resolver.ts';
import { PACKET_BYTES, testListener, testPeerLinks, until } from '../support/link-fixtures.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const HOUR_MS = 3_600_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('an answer of a name server that waits to be read', async (t) => {
  const clock = new VirtualClock();
  let answer: (records: AddressRecord[]) => void = () => {};
  const dns: DnsQueries = {
    resolve4: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
    resolve6: async () => [],
    reverse: async () => [],
    cancel() {},
  };
  const hosts = { lookup: () => [], namesOf: () => [] };
  const resolver = new SystemResolver({ clock, hosts, dns: () => dns });
  const found = resolver.resolve('example.org');
  await turn();
  clock.standStill(HOUR_MS);
  await turn();
  answer([{ address: '192.0.2.1', ttl: 60 }]);
  await turn();
  clock.advance(50);
  t.strictSame(await found, ['192.0.2.1']);
});

t.test('an answer of an authority', async (t) => {
  const clock = new VirtualClock();
  const reply = { status: 200, text: '' } as HttpReply;
  let answer: (one: HttpReply) => void = () => {};
  const transport = {
    send: (_request, signal) =>
      new Promise((resolve, reject) => {
        answer = resolve;
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    close: async () => {},
  } as Transport;
  const request = { method: 'GET', url: 'http://192.0.2.1/', maxBytes: 1 } as const;
  const sent = sendWithin(transport, request, clock, 2_000, new AbortController().signal);
  clock.standStill(HOUR_MS);
  await turn();
  answer(reply);
  t.strictSame(await sent, reply);
  const late = sendWithin(transport, request, clock, 2_000, new AbortController().signal);
  clock.advance(2_000);
  await t.rejects(late, { code: 'TIMEOUT' }, 'real silence is found in time');
});

t.test('a stream that waits for its exit', async (t) => {
  const clock = new VirtualClock();
  const refused: string[] = [];
  let isThere = false;
  const waiting = new WaitingStreams({
    clock,
    openTimeoutMs: () => 60_000,
    open: () => (isThere ? undefined : 'no answer'),
    hasIdentity: () => true,
  });
  const handlers = { onOpened() {}, onRefused: (code: string) => refused.push(code) } as never;
  const stream = new HubStream({ kind: 'tcp', host: 'example.org', port: 80 }, handlers, () => {});
  waiting.add({ stream, token: '', port: 80 }, 'no answer');
  clock.standStill(HOUR_MS);
  isThere = true;
  waiting.retry();
  t.strictSame([waiting.size, refused], [0, []]);
});

t.test('a link whose peer has taken what was sent', async (t) => {
  const clock = new VirtualClock();
  const listener = await testListener();
  const peers = await testPeerLinks({ clock, queueFrames: 1024, stallTimeoutMs: 1000 });
  t.teardown(() => Promise.all([peers.stop(), listener.close()]));
  const { addressKey } = listener.target();
  peers.setPeers([listener.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  const queued = () => peers.status()[0]?.queued ?? 0;
  peers.send(addressKey, new Uint8Array(PACKET_BYTES));
  t.equal(queued(), 1, 'before this turn is over');
  clock.standStill(HOUR_MS);
  t.equal(peers.send(addressKey, new Uint8Array(PACKET_BYTES)), 'sent');
  await until(() => queued() === 0);
  clock.advance(2 * SUSPICION_MS);
  t.equal(peers.send(addressKey, new Uint8Array(PACKET_BYTES)), 'sent');
  t.equal(peers.status()[0]?.state, 'up');
});
