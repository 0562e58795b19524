/** A requester remembers sessions that had a stream for as long as packets of them can be read, whatever others do. */
import t from 'tap';
import { MAX_REMEMBERED } from '../../lib/session/requester/session-table.ts';
import type { PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { idOf, open, owner, packet, table } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

const OTHER_VERSION = 99;

t.test('a session that had a stream opens no other one later, however many end or are refused meanwhile', async (t) => {
  const sessions = table();
  sessions.receive(packet(idOf(1), 1, open(0)), monotonic(0));
  sessions.receive(
    packet(idOf(1), 2, (b) => b.close(owner, 0), { hello: false, blocks: 0 }),
    monotonic(0),
  );
  t.equal(sessions.size, 0);
  const others = (count: number, place: number, bytesOf: (id: Uint8Array) => Uint8Array) => {
    const id = new Uint8Array(16).fill(place);
    for (let i = 0; i < count; i++) {
      new DataView(id.buffer).setUint32(0, i);
      sessions.receive(bytesOf(id), monotonic(1));
    }
  };
  others(1_000, 0xee, (id) => packet(id, 1, (b) => b.close(owner, 0), { blocks: 0 }));
  // a refusal is remembered as an end is, in a fraction of the time
  const otherVersion = (b: PacketBuilder) => b.hello(owner, OTHER_VERSION, new Uint8Array(0), 1 << 20, 1 << 18);
  others(MAX_REMEMBERED, 0xdd, (id) => packet(id, 1, otherVersion, { hello: false, blocks: 0 }));
  t.match(sessions.stats().dropped, { 'refused-version': MAX_REMEMBERED });
  sessions.receive(packet(idOf(1), 1, open(0)), monotonic(50_000));
  t.equal(sessions.size, 0, 'the request in it is not made again');
});
