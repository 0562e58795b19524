/**
 * A minute of two people's applications behind a proxy, as an exit sees it. It has in it what the parameters of sessions govern: transfers both ways,
 * streams that are never answered, left idle or half closed, an identity that is left, a rotation, an exit that falls silent.
 */
import { DEFAULT_SESSION_PARAMS, type SessionParams } from '../../../lib/core/session-params.ts';
import type { ProxyConfig } from '../../../proxy/index.ts';
import { connectRequest, RawClient } from '../front-world.ts';
import { type FaceOptions, FaceWorld, type Seen } from './face-world.ts';

/** Times that come up within the minute. */
export const FACE_SESSION: SessionParams = {
  ...DEFAULT_SESSION_PARAMS,
  ackDelayMs: 150,
  ackEveryPackets: 2,
  skipEvery: 8,
  pingMs: 3000,
  deadPeerMs: 9000,
  openTimeoutMs: 5000,
  streamIdleMs: 13_000,
  halfClosedIdleMs: 6000,
  rotationMs: 20_000,
  identityIdleMs: 8000,
};

const login = (user: string) =>
  Buffer.concat([Buffer.from([1, user.length]), Buffer.from(user), Buffer.from([1, 120])]);

/** What the exits saw; `first`: of the first two seconds alone. */
export async function faceOf(config: ProxyConfig, options: FaceOptions, first = false): Promise<Seen[]> {
  const world = new FaceWorld(config, options);
  const front = await world.front();
  const clients: RawClient[] = [];
  const place = front.listen.startsWith('unix:') ? front.listen.slice(5) : Number(front.listen.split(':').at(-1));
  /** Asks for `host` as `user`, and sends `early` behind the request. */
  const ask = async (user: string, host: string, early = Buffer.alloc(0)) => {
    const client = await RawClient.connect(place);
    clients.push(client);
    client.socket.write(Buffer.from([5, 1, 2]));
    await client.bytes(2);
    client.socket.write(login(user));
    await client.bytes(2);
    const { asked, written } = world;
    client.socket.write(Buffer.concat([connectRequest(host, 443), early]));
    await world.until(() => world.asked > asked && world.written === written + early.byteLength);
    return client;
  };
  /** Asks for `host`, and sends once it has the answer. */
  const askAndWait = async (user: string, host: string) => {
    const client = await ask(user, host);
    while (!world.opened.has(host) && !config.socksListen[0]?.includes('+optimistic')) await world.run(10);
    await client.bytes(10);
    const { written } = world;
    client.socket.write(Buffer.alloc(300, 2));
    await world.until(() => world.written === written + 300);
  };
  const sendDown = (host: string, bytes: number) =>
    world.accepted.get(host)?.write(new Uint8Array(bytes), world.clock.nowMs());
  try {
    await world.run(1000);
    await ask('a', 'site.example', Buffer.alloc(30_000, 1));
    await ask('b', 'other.example');
    await world.run(1000);
    if (first) return world.seen;
    await ask('a', 'silent.example');
    await world.run(2000);
    sendDown('site.example', 60_000);
    world.accepted.get('other.example')?.end(world.clock.nowMs());
    await world.run(12_000);
    sendDown('site.example', 40_000);
    await world.run(4000);
    for (let i = 0; i < 6; i++) {
      sendDown('site.example', 100);
      await world.run(700);
    }
    await world.run(15_000);
    await askAndWait('a', 'late.example');
    await world.run(3000);
    world.dead = true;
    await world.run(14_000);
    world.dead = false;
    await world.run(6000);
  } finally {
    for (const { socket } of clients) socket.destroy();
    await front.stop();
    await world.hub.stop();
  }
  return world.seen;
}
