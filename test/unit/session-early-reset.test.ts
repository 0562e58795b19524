/** A RESET that stands behind bytes, before the stream is known to the requester: they arrive, whatever order packets come in. */
import t from 'tap';
import { type AcceptedStream, SessionTable } from '../../lib/session/index.ts';
import { FRAME, type Frame } from '../../lib/transport/wire/frames.ts';
import { decodeUplink } from '../../lib/transport/wire/payload.ts';
import { errorNumber } from '../../lib/transport/wire/reasons.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  data,
  delay,
  idOf,
  open,
  owner,
  PAYLOAD_BYTES,
  packet,
  proxySession,
  silent,
} from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

/** A requester that gets these frames, a packet each, and what its application sees. */
function served(...writes: Parameters<typeof packet>[2][]) {
  const seen: string[] = [];
  let stream: AcceptedStream | undefined;
  const table = new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    terms: () => ({ delay }),
    accept: (accepted) => {
      stream = accepted;
      seen.push('open');
      return {
        ...silent,
        onData: (bytes) => seen.push(`data ${bytes.byteLength}`),
        onReset: (code) => seen.push(`reset ${code}`),
      };
    },
  });
  writes.forEach((write, i) => {
    table.receive(packet(idOf(1), i + 1, write, { blocks: 4 }), monotonic(0));
  });
  const [session] = table.sessions();
  return { seen, open: () => session?.stats().streamsOpen ?? 0, stream: () => stream };
}

const bytes = (length: number) => (builder: Parameters<typeof data>[0]) => data(builder, 0, 0, length);
const reset = (finalSize: number) => (builder: Parameters<typeof data>[0]) =>
  builder.reset(owner, 0, errorNumber('RESET'), finalSize);

t.test('the requester waits for OPEN when bytes stand before the RESET', (t) => {
  const orders = [
    [open(0), bytes(5), reset(5)],
    [reset(5), open(0), bytes(5)],
    [reset(5), bytes(5), open(0)],
    [bytes(5), reset(5), open(0)],
    [open(0), reset(5), bytes(5)],
  ];
  for (const order of orders) t.strictSame(served(...order).seen, ['open', 'data 5', 'reset RESET']);
  t.strictSame(served(reset(0), open(0)).seen, [], 'without bytes it is over at once');
  t.strictSame(served(reset(5), bytes(5)).seen, [], 'nobody to deliver to yet');
  t.end();
});

t.test('the proxy sends OPEN until it is acknowledged, also when it has broken off', (t) => {
  const rounds = (write: boolean) => {
    const session = proxySession({ mintSurb: () => new Uint8Array(372) });
    const target = { kind: 'tcp', host: 'example.org', port: 80 } as const;
    const stream = session.open(target, { ...silent, onOpened() {}, onRefused() {} }, monotonic(0));
    const types: Frame['type'][][] = [];
    const fill = (nowMs: number) => {
      session.tick(monotonic(nowMs));
      const plaintext = session.fill(monotonic(nowMs));
      if (plaintext !== undefined) types.push(decodeUplink(plaintext)?.frames.map(({ type }) => type) ?? []);
    };
    if (write) stream.write(new Uint8Array(5), monotonic(0));
    stream.endWithReset('RESET', monotonic(0));
    fill(1); // lost, as all that follow
    const first = types.splice(0).flat();
    for (let nowMs = 100; nowMs < 10_000; nowMs += 100) fill(nowMs);
    return { first, later: types.flat() };
  };
  const behindBytes = rounds(true);
  for (const type of [FRAME.OPEN, FRAME.DATA]) t.ok(behindBytes.first.includes(type), `type ${type}`);
  for (const type of [FRAME.OPEN, FRAME.DATA, FRAME.RESET]) t.ok(behindBytes.later.includes(type), `type ${type}`);
  const alone = rounds(false);
  t.notOk([...alone.first, ...alone.later].includes(FRAME.OPEN), 'RESET alone needs none');
  t.ok(alone.later.includes(FRAME.RESET));
  t.end();
});
