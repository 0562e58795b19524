/**
 * A client sends an exit packets of sessions that there are not, crowded with frames, in a network with large packets: they wait for
 * the HELLO of theirs.
 */
import t from 'tap';
import { HeldPackets, MAX_HELD_BYTES } from '../../lib/session/requester/held-packets.ts';
import { MAX_FRAMES_PER_PACKET } from '../../lib/transport/limits.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { beginUplink } from '../../lib/transport/wire/payload.ts';
import { monotonic } from '../support/units.ts';

const NUMBER = 7;

/** A packet of session `n`, with as many PING frames as one may have. */
function crowded(payloadBytes: number, n: number): Uint8Array {
  const { bytes, offset } = beginUplink(payloadBytes, new Uint8Array(16).fill(n), NUMBER);
  return bytes.fill(FRAME.PING, offset, offset + MAX_FRAMES_PER_PACKET);
}

/** How many packets are held of as many as come. */
function heldOf(payloadBytes: number): number {
  const held = new HeldPackets(payloadBytes);
  let count = 0;
  for (let session = 0; session < 256; session++) {
    const packet = crowded(payloadBytes, session);
    for (let i = 0; i < 20; i++) if (held.add(`${session}`, packet, monotonic(0))) count += 1;
  }
  return count;
}

t.test('what waits is bounded in bytes, whatever the size of packets', async (t) => {
  for (const payloadBytes of [2048, 8192, 32_768]) t.equal(heldOf(payloadBytes) * payloadBytes, MAX_HELD_BYTES);
});

t.test('what waits is bytes, not the frames in them', async (t) => {
  const held = new HeldPackets(2048);
  const packet = crowded(2048, 1);
  held.add('one', packet, monotonic(0));
  packet.fill(0xff); // it is a copy, and read when it is taken
  const [taken] = held.take('one');
  t.equal(taken?.number, NUMBER);
  t.equal(taken?.frames.length, MAX_FRAMES_PER_PACKET);
});

t.test('there is room again for what was taken', async (t) => {
  const held = new HeldPackets(32_768);
  const add = (key: string) => held.add(key, crowded(32_768, 1), monotonic(0));
  while (add(`${held.size}`));
  t.equal(held.size, MAX_HELD_BYTES / 32_768);
  t.equal(held.overdue(monotonic(499)), undefined);
  t.equal(held.overdue(monotonic(500)), '0');
  held.take('0');
  t.equal(add('another'), true);
  t.equal(add('and another'), false);
});
