/**
 * Who wants two ends of the next version of links to use this one: somebody between them, and a neighbour.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import type { VersionRange } from '../../lib/core/version-range.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { PACKET_BYTES, targetOf, testListener, testPeerLinks, until } from '../support/link-fixtures.ts';

const THIS: VersionRange = { lowest: 2, highest: 2 };
const BOTH: VersionRange = { lowest: 2, highest: 3 };
const NEXT: VersionRange = { lowest: 3, highest: 3 };
const RECORD_HEAD_BYTES = 5;

/** Hands bytes on to `port` of loopback, those of the dialler as `alter` leaves its records. */
async function relayTo(port: number, alter: (record: Buffer) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket.on('error', () => {}));
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    far.pipe(near);
    let rest: Buffer = Buffer.alloc(0);
    near.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.byteLength >= RECORD_HEAD_BYTES) {
        const end = RECORD_HEAD_BYTES + rest.readUInt16BE(3);
        if (rest.byteLength < end) return;
        const record = rest.subarray(0, end);
        alter(record);
        far.write(record);
        rest = rest.subarray(end);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

t.test('neighbours of this version and the next one talk, in the highest version of both', async (t) => {
  for (const ours of [THIS, BOTH]) {
    const listener = await testListener({ versions: ours });
    for (const theirs of [THIS, BOTH]) {
      const peers = await testPeerLinks({ versions: theirs });
      peers.setPeers([listener.target()]);
      await until(() => peers.status()[0]?.state === 'up');
      const expected = Math.min(ours.highest, theirs.highest);
      t.equal(peers.status()[0]?.version, expected, 'who dials');
      t.equal(listener.links.at(-1)?.version, expected, 'who accepts');
      await peers.stop();
    }
    await listener.close();
  }
});

t.test('who changes the versions in a hello on its way ends the link, and gets none of an older version', async (t) => {
  const listener = await testListener({ versions: BOTH });
  const peers = await testPeerLinks({ versions: BOTH });
  let altered = 0;
  const relay = await relayTo(listener.port, (record) => {
    if (altered > 0 || record.byteLength < PACKET_BYTES) return;
    altered += 1;
    const at = RECORD_HEAD_BYTES + 4; // the highest version: the cipher adds a stream to it
    record[at] = (record[at] ?? 0) ^ BOTH.highest ^ THIS.highest;
  });
  t.teardown(async () => {
    await peers.stop();
    relay.close();
    await listener.close();
  });
  peers.setPeers([targetOf(listener.identity.id, relay.port)]);
  await listener.refused(1);
  t.equal(altered, 1);
  t.strictSame(listener.links, [], 'no link came of it');
  await until(() => peers.status()[0]?.state === 'up');
  t.equal(peers.status()[0]?.version, 3, 'the next attempt goes unchanged');
  t.strictSame(
    listener.links.map(({ version }) => version),
    [3],
  );
});

t.test('who has given a version up does not speak it with a neighbour that claims to know no other', async (t) => {
  const lines: string[] = [];
  const log = { ...silentLog, warn: (_fields: object, line: string) => lines.push(line) } as unknown as Log;
  const listener = await testListener({ versions: NEXT, log });
  const peers = await testPeerLinks({ versions: THIS });
  t.teardown(() => Promise.all([peers.stop(), listener.close()]));
  peers.setPeers([listener.target()]);
  await until(() => peers.status()[0]?.lastReason === 'wrong-version');
  t.strictSame(listener.links, []);
  const ends = 'this end speaks version 3 of the link protocol, the other end version 2';
  t.strictSame(lines, [`link refused: ${ends}; update the older one`]);
});
