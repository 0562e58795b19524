import { SocksClient } from 'socks';
import type { Test } from 'tap';
import { type Dispatcher, ProxyAgent, request, Socks5ProxyAgent } from 'undici';
import { connectRequest, GREETING, RawClient } from '../../support/front-world.ts';
import { associate, dnsAddress, dnsQuery, UdpPeer } from '../../support/udp.ts';
import { DEAD_NAME, type FrontNetwork, HELLO, PTR_ADDRESS, PTR_NAME, SITE, SITE6 } from './world.ts';

const proxyOf = ({ network }: FrontNetwork) => {
  const [host = '', port = ''] = network.socks.split(':');
  return { host, port: Number(port) };
};

/** npm `socks` in its three protocols. */
export async function npmSocks(t: Test, front: FrontNetwork): Promise<void> {
  const fetchBy = async (type: 4 | 5, host: string) => {
    const { socket } = await SocksClient.createConnection({
      proxy: { ...proxyOf(front), type },
      command: 'connect',
      destination: { host, port: front.web.port },
    });
    socket.resume().end('GET / HTTP/1.0\r\n\r\n');
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part);
    t.match(Buffer.concat(parts).toString(), HELLO, `npm socks ${type} ${host}`);
  };
  await Promise.all([fetchBy(4, '127.0.0.1'), fetchBy(4, SITE), fetchBy(5, SITE)]);
}

/** undici gives a SOCKS handshake five seconds, whatever it is told; a busy machine takes longer. */
const UNDICI_TRIES = 5;

/** Both of undici's proxy agents. */
export async function undici(t: Test, { network, web }: FrontNetwork): Promise<void> {
  const agents = [new ProxyAgent(`http://${network.socks}`), new Socks5ProxyAgent(`socks5://${network.socks}`)];
  const ask = (dispatcher: Dispatcher, tries = UNDICI_TRIES): ReturnType<typeof request> =>
    request(`http://${SITE}:${web.port}/`, { dispatcher }).catch((error: Error) => {
      if (tries === 1 || error.message !== 'SOCKS5 connection timeout') throw error;
      return ask(dispatcher, tries - 1);
    });
  for (const dispatcher of agents) {
    const { body } = await ask(dispatcher);
    t.equal(await body.text(), HELLO, `undici ${dispatcher.constructor.name}`);
    await dispatcher.close();
  }
}

/** A DNS client over an association of npm `socks`. */
export async function dnsOverUdp(t: Test, front: FrontNetwork): Promise<void> {
  const relayPort = await associate(t, { ...proxyOf(front), type: 5 });
  const udp = await UdpPeer.open(t);
  const remoteHost = { host: '127.0.0.1', port: front.dns.port };
  const frame = SocksClient.createUDPFrame({ remoteHost, data: dnsQuery(77, SITE) });
  // As a stub resolver does: a datagram that is lost is sent again.
  udp.send(frame, relayPort);
  const again = setInterval(() => udp.send(frame, relayPort), 2000);
  const { bytes } = await udp.datagram(0);
  clearInterval(again);
  const answer = SocksClient.parseUDPFrame(bytes);
  t.match(answer.remoteHost, remoteHost);
  t.equal(answer.data.readUInt16BE(0), 77);
  t.equal(dnsAddress(answer.data), '127.0.0.1');
}

/** Tor's look-ups. */
export async function lookUps(t: Test, front: FrontNetwork): Promise<void> {
  const ask = async (request: Buffer) => {
    const raw = await RawClient.connect(proxyOf(front).port);
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(request);
    return (await raw.rest()).toString('hex');
  };
  const socks5 = (host: string | number[], command: number) =>
    ask(Buffer.concat([GREETING, connectRequest(host, 0, command)]));
  const name = Buffer.from(SITE);
  const socks4 = Buffer.concat([Buffer.from([4, 0xf0, 0, 0, 0, 0, 0, 1, 0]), name, Buffer.from([0])]);
  const table: [string, Promise<string>, string][] = [
    ['RESOLVE', socks5(SITE, 0xf0), '0500050000017f0000010000'],
    ['RESOLVE, IPv6', socks5(SITE6, 0xf0), `050005000004${'0'.repeat(31)}10000`],
    ['RESOLVE, no such name', socks5(DEAD_NAME, 0xf0), '050005040001000000000000'],
    ['RESOLVE of SOCKS4a', ask(socks4), '005a00007f000001'],
    [
      'RESOLVE_PTR',
      socks5(PTR_ADDRESS.split('.').map(Number), 0xf1),
      `050005000003${Buffer.from([PTR_NAME.length]).toString('hex')}${Buffer.from(PTR_NAME).toString('hex')}0000`,
    ],
  ];
  for (const [what, answer, expected] of table) t.equal(await answer, expected, what);
}
