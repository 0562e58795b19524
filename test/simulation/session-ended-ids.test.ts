/** A requester remembers sessions that had a stream for as long as packets of them can be read, whatever others do. */
import t from 'tap';
import { MAX_REMEMBERED } from '../../lib/session/requester/session-table.ts';
import { idOf, open, owner, packet, table } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

t.test('a session that had a stream opens no other one later, however many end meanwhile', async (t) => {
  const sessions = table();
  sessions.receive(packet(idOf(1), 1, open(0)), monotonic(0));
  sessions.receive(
    packet(idOf(1), 2, (b) => b.close(owner, 0), { hello: false, blocks: 0 }),
    monotonic(0),
  );
  t.equal(sessions.size, 0);
  for (let i = 0; i < MAX_REMEMBERED + 1_000; i++) {
    const id = new Uint8Array(16).fill(0xee);
    new DataView(id.buffer).setUint32(0, i);
    sessions.receive(
      packet(id, 1, (b) => b.close(owner, 0), { blocks: 0 }),
      monotonic(1),
    );
  }
  sessions.receive(packet(idOf(1), 1, open(0)), monotonic(50_000));
  t.equal(sessions.size, 0, 'the request in it is not made again');
});
