/**
 * The rows for what is no connection to a site: UDP associations and look-ups.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { failure, type Row, type RowTools, SOCKS4_FAILURE, socks4 } from './front-row-tools.ts';
import { connectRequest, GREETING } from './front-world.ts';
import { Associated, UdpPeer, udpRequest } from './udp.ts';

const RESOLVE = 0xf0;
const RESOLVE_PTR = 0xf1;
const AGAIN_MS = 1000;

/** Sends until `peer` has got what `has` looks for: a datagram may be lost, as any may. */
async function until(peer: UdpPeer, has: () => boolean, send: () => void): Promise<void> {
  while (!has()) {
    send();
    await Promise.race([sleep(AGAIN_MS), peer.datagram(peer.received.length)]);
  }
}

/** Sends until the site has heard it. */
function heard(client: Associated, site: UdpPeer, text: string): Promise<void> {
  const has = () => site.received.some(({ bytes }) => bytes.toString() === text);
  return until(site, has, () => client.send('127.0.0.1', site.port, Buffer.from(text)));
}

const associate = (tools: RowTools) => Associated.open(tools.t, Number(tools.world.place('plain')));
const texts = (site: UdpPeer) => new Set(site.received.map(({ bytes }) => bytes.toString()));

const UDP: readonly Row[] = [
  {
    from: 'RFC 1928 section 7',
    says: 'an association is told a port at the address that the client has reached; answers name their site',
    async run(t, tools) {
      const site = await UdpPeer.echo(t);
      const client = await associate(tools);
      t.equal(client.relay.host, '127.0.0.1', 'not 0.0.0.0, which nobody can send to');
      t.ok(client.relay.port > 0);
      const answered = () => client.peer.received.length > 0;
      await until(client.peer, answered, () => client.send('127.0.0.1', site.port, Buffer.from('hello')));
      const { bytes, from } = await client.peer.datagram(0);
      t.equal(from.port, client.relay.port);
      t.ok(bytes.equals(udpRequest('127.0.0.1', site.port, Buffer.from('hello'))), bytes.toString('hex'));
    },
  },
  {
    from: 'RFC 1928 section 7',
    says: 'an association ends with its TCP connection, and not before',
    async run(t, tools) {
      const site = await UdpPeer.open(t);
      const client = await associate(tools);
      await heard(client, site, 'one');
      await sleep(tools.world.patienceMs);
      await heard(client, site, 'two, after a while');
      client.control.socket.end();
      await client.control.gone();
      client.send('127.0.0.1', site.port, Buffer.from('three, too late'));
      await sleep(tools.world.patienceMs);
      t.notOk(texts(site).has('three, too late'));
    },
  },
  {
    from: 'RFC 1928 section 7',
    says: 'fragments are dropped',
    async run(t, tools) {
      const site = await UdpPeer.open(t);
      const client = await associate(tools);
      for (const fragment of [1, 0x81]) client.send('127.0.0.1', site.port, Buffer.from('a part'), fragment);
      await heard(client, site, 'whole');
      await sleep(tools.world.patienceMs);
      t.same([...texts(site)], ['whole']);
    },
  },
  {
    from: 'RFC 1928 section 7',
    says: 'datagrams of others than the client are dropped, whoever they are',
    async run(t, tools) {
      const site = await UdpPeer.open(t);
      const client = await associate(tools);
      await heard(client, site, 'mine');
      const neighbour = await UdpPeer.open(t);
      neighbour.send(udpRequest('127.0.0.1', site.port, Buffer.from('not mine')), client.relay.port);
      await heard(client, site, 'mine again');
      await sleep(tools.world.patienceMs);
      t.same([...texts(site)], ['mine', 'mine again']);
    },
  },
  {
    from: 'RFC 1928 section 7',
    says: 'a site that was not asked cannot reach the client, and the exit tells the true sender',
    async run(t, tools) {
      const [site, other] = [await UdpPeer.open(t), await UdpPeer.open(t)];
      const client = await associate(tools);
      await heard(client, site, 'hello');
      const exit = site.received[0]?.from.port ?? 0;
      other.send(Buffer.from('uninvited'), exit);
      const answered = () => client.peer.received.length > 0;
      await until(client.peer, answered, () => site.send(Buffer.from('answer'), exit));
      const from = new Set(client.peer.received.map(({ bytes }) => bytes.readUInt16BE(8)));
      t.same([...from], [site.port]);
    },
  },
];

const LOOKUPS: readonly Row[] = [
  {
    from: 'Tor, socks-extensions section 2',
    says: 'RESOLVE is answered with the address in the place of the bound one; an address is its own answer',
    async run(t, tools) {
      const resolve = (host: string | number[]) => tools.refusal(host, 0, 'plain', RESOLVE);
      t.equal(await resolve('localhost'), '050000017f0000010000');
      t.equal(await resolve([192, 0, 66, 1]), '05000001c00042010000');
      t.equal(await resolve('192.0.66.1'), '05000001c00042010000', 'an address sent as a name');
      const [command, ...rest] = socks4([0, 0, 0, 1], 0, '\0localhost\0').subarray(1);
      t.equal(command, 1);
      t.equal(await tools.last([4, RESOLVE, ...rest]), '005a00007f000001', 'SOCKS4a');
    },
  },
  {
    from: 'Tor, socks-extensions section 2',
    says: 'failed look-ups have the codes of failed connections; f0 and f1 are commands here, not errors',
    async run(t, tools) {
      t.equal(await tools.refusal('no-such-name.invalid', 0, 'plain', RESOLVE), failure(4));
      t.equal(await tools.refusal('localhost', 0, 'strict', RESOLVE), failure(2), 'private names stay here');
      t.equal(await tools.refusal('hidden.onion', 0, 'strict', RESOLVE), failure(2));
      t.equal(await tools.refusal('a b', 0, 'plain', RESOLVE), failure(8));
      t.equal(await tools.refusal([10, 0, 0, 1], 0, 'strict', RESOLVE_PTR), failure(2), 'so do private addresses');
      t.equal(await tools.refusal('localhost', 0, 'plain', RESOLVE_PTR), failure(8), 'PTR is of an address');
      t.equal(await tools.refusal('no-such-name.invalid', 0, 'extended', RESOLVE), failure(0xf5));
      const request = socks4([0, 0, 0, 1], 0, '\0no-such-name.invalid\0');
      t.equal(await tools.last([4, RESOLVE, ...request.subarray(2)]), SOCKS4_FAILURE);
    },
  },
  {
    from: 'TCP',
    says: 'a look-up may come byte by byte, and who has sent its FIN still gets the answer',
    async run(t, tools) {
      const raw = await tools.client();
      const request = Buffer.concat([GREETING, connectRequest('localhost', 0, RESOLVE)]);
      for (const byte of request) {
        raw.socket.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      raw.socket.end();
      t.equal((await raw.rest()).toString('hex'), '0500050000017f0000010000');
    },
  },
];

export const SIDE_ROWS: readonly Row[] = [...UDP, ...LOOKUPS];
