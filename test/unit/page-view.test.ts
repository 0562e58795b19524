import t from 'tap';
import { mixingPool } from '../../lib/access/status/mixing-pool.ts';
import type { Status } from '../../lib/access/status/status.ts';
import { Topology } from '../../lib/directory/index.ts';
import { keepsTime } from '../../proxy/status/page/browser/clocks.ts';
import { html } from '../../proxy/status/page/browser/html.ts';
import { gradeOf } from '../../proxy/status/page/browser/paths.ts';
import { obstacle, titleOf, view } from '../../proxy/status/page/browser/view.ts';
import { bytes, count, duration, figure, percent } from '../../proxy/status/page/browser/words.ts';
import { HISTORY_SAMPLES, StatusHistory } from '../../proxy/status/page/history.ts';
import { pacScript, pageDocument } from '../../proxy/status/page/index.ts';
import { STYLE } from '../../proxy/status/page/style.ts';
import { HISTORY, STATUS } from '../support/status-fixture.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** What a reader sees of markup. */
const text = (markup: string): string =>
  markup
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name] ?? "'")
    .replace(/\s+/g, ' ');
const shown = (status: Status): string => text(view(status, HISTORY).markup);

t.test('templates escape what is not markup', (t) => {
  const evil = `<img src=x onerror="alert('1')">&`;
  t.equal(html`<p title="${evil}">${evil}</p>`.markup.match(/[<>]/g)?.length, 4, 'the brackets of <p> and </p> only');
  t.equal(html`<p title='${evil}'></p>`.markup.match(/['"]/g)?.length, 2);
  t.equal(html`a${[1, html`<b>${'<'}</b>`, false, undefined, 'x']}z`.markup, 'a1<b>&lt;</b>xz');
  t.equal(html`${0}`.markup, '0');
  t.end();
});

t.test('no text of the network becomes markup', (t) => {
  const evil = '</title></script><script>alert(1)</script>"\'><svg onload=x>';
  const node = STATUS.nodes[0];
  if (node === undefined) throw new Error('the fixture has nodes');
  const status: Status = {
    ...STATUS,
    socks: evil,
    version: evil,
    network: { ...STATUS.network, name: evil, trafficClass: evil, downlink: evil },
    gateway: { name: evil, link: evil, keyExchange: evil, noCommonGroup: false, seesBothEnds: true },
    nodes: [{ ...node, name: evil }, ...Array.from({ length: 20 }, () => ({ ...node, name: evil, layer: 2 }))],
    crypto: { [evil]: evil },
    sessions: STATUS.sessions.map((session) => ({ ...session, state: evil, requester: evil })),
  };
  const markup = pageDocument(status, HISTORY);
  t.equal(markup.match(/<script/g)?.length, 1, 'our own');
  t.notMatch(markup, /<svg onload|<\/title><\/script>|"'>/);
  t.ok(text(markup).includes(evil.replace(/\s+/g, ' ')), 'it is shown as what it is');
  t.end();
});

t.test('the page says what is the matter', (t) => {
  t.match(shown(STATUS), /Ready Programs on this machine can use SOCKS5 at 127\.0\.0\.1:1080/);
  t.equal(titleOf({ ...STATUS, ready: false }), 'not ready · mixsocks');
  const not: Status = { ...STATUS, ready: false };
  t.match(obstacle({ ...not, epoch: null, gateway: null }), /no directory authority has answered/);
  t.match(obstacle({ ...not, gateway: null }), /No gateway could be used/);
  const down = { name: 'gateway-1', link: 'down', keyExchange: null, noCommonGroup: false, seesBothEnds: false };
  t.match(obstacle({ ...not, gateway: down }), /gateway-1 does not answer/);
  t.match(obstacle({ ...not, gateway: { ...down, noCommonGroup: true } }), /gateway-1 .* no key exchange in common/);
  t.match(shown(STATUS), /Link’s key exchange X25519MLKEM768/);
  t.notMatch(shown({ ...not, gateway: down }), /Link’s key exchange/);
  t.match(obstacle({ ...not, sessions: [] }), /no exit that can be used/);
  t.match(obstacle(not), /exit has not answered/);
  t.equal(obstacle(STATUS), undefined);
  t.end();
});

t.test('rates are shown against their clocks', (t) => {
  t.ok(keepsTime({ set: 50, measured: 44 }), 'chance');
  t.notOk(keepsTime({ set: 50, measured: 38 }), 'not chance');
  t.notOk(keepsTime({ set: 0, measured: 3 }));
  t.match(shown(STATUS), /Packets out 49\.8 per second on time clock 50\/s/);
  t.match(shown(STATUS), /Replies in 61\.2 per second off its clock clock 100\/s/);
  const burst = { ...STATUS, rates: { ...STATUS.rates, reply: { set: 0, measured: 7 } } };
  t.match(shown(burst), /Replies in 7 per second no clock as data comes/);
  t.match(shown(STATUS), /99 of 100 within 0\.6 ms; the latest was 7\.9 ms behind/);
  t.match(shown({ ...STATUS, lateness: null }), /No packet has left yet/);
  t.notMatch(shown(STATUS), /no packet stood ready/);
  t.match(shown({ ...STATUS, slotsMissed: 12 }), /At 12 ticks no packet stood ready/);
  t.end();
});

t.test('nodes are shown in their places, with their health in words', (t) => {
  const seen = shown(STATUS);
  t.match(
    seen,
    /Your gateway gateway-1 100 % Mix layer 1 100 % mix-1-1 100 % Mix layer 2 75 % mix-2-1 75 % Mix layer 3 mix-3-1 avoided Other gateways gateway-2 – Exits requester-1 –/,
  );
  t.match(seen, /Of 6 nodes, 1 node loses packets, 1 node is avoided\./);
  t.match(view(STATUS, HISTORY).markup, /title="mix-2-1: loses packets; 15 of 20 loops came back"/);
  t.strictSame(STATUS.nodes.map(gradeOf), ['good', 'fair', 'avoided', 'good', 'unknown', 'unknown']);
  const [node] = STATUS.nodes;
  if (node === undefined) throw new Error('the fixture has nodes');
  const many = { ...STATUS, nodes: Array.from({ length: 11 }, (_, i) => ({ ...node, name: `mix-1-${i}` })) };
  t.equal(view(many, HISTORY).markup.match(/class="squares"/g)?.length, 1, 'many nodes become squares');
  t.match(shown({ ...STATUS, nodes: [] }), /No node is known yet/);
  t.end();
});

t.test('streams, round trip, reply blocks and mixing are shown', (t) => {
  const seen = shown(STATUS);
  t.match(seen, /Streams 2 open 130 kB\/s down, 100 B\/s up 41 streams so far, 1 given up, 2 refused \( why \)/);
  t.match(
    seen,
    /Time to open a connection 0\.23 s for half of them .* 9 of 10 within 0\.45 s; last 41 requests To the exit and back now: 0\.12 s\. .* hold a packet 90 ms on average/,
  );
  const none = {
    ...STATUS.streams.opening,
    counts: STATUS.streams.opening.counts.map(() => 0),
    medianMs: null,
    p90Ms: null,
  };
  t.match(shown({ ...STATUS, streams: { ...STATUS.streams, opening: none } }), /– no request yet/);
  t.match(seen, /Reply blocks 171 of 180 in stock/);
  t.match(shown({ ...STATUS, surbs: { ...STATUS.surbs, stock: 50 } }), /50 of 180 low/);
  t.match(seen, /1\.7 packets in a mix 1\.2 yours 0\.5 cover/);
  t.match(seen, /this network hides little\. 7\.1 % of packets .* With 8 more users, or a mean delay of 91 ms/);
  t.match(seen, /Of each user 0\.75 packets are in a layer at a time\. Loopix advises 2 or more.* --mean-delay-ms 40/);
  if (STATUS.mixing === null) throw new Error('the fixture mixes');
  const good = { ...STATUS.mixing, poolPackets: 12, enough: true, aloneShare: 4.7e-7 };
  const long = { ...good, perUserPackets: 2, perUserEnough: true };
  t.notMatch(shown({ ...STATUS, mixing: long }), /mean-delay-ms/);
  const chosen = { ...STATUS.network, meanDelayMs: 62, mixingTarget: 60 };
  t.match(
    shown({ ...STATUS, network: chosen }),
    /wait 62 ms on average .* chooses that delay each epoch for 60 packets/,
  );
  t.notMatch(seen, /chooses that delay/);
  t.match(shown({ ...STATUS, mixing: good }), /enough Only < 0\.001 % of packets/);
  t.notMatch(shown({ ...STATUS, mixing: null }), /packets in a mix/);
  t.end();
});

t.test('the histogram: a column per bucket, in words for those who do not see it', (t) => {
  const { markup } = view(STATUS, HISTORY);
  const picture = /<svg class="histogram"[\s\S]*?<\/svg>/.exec(markup)?.[0] ?? '';
  const heights = [...picture.matchAll(/class="fill"[^>]* height="([\d.]+)"/g)].map(([, height]) => Number(height));
  t.equal(heights.length, 12);
  t.strictSame(
    heights.map((height) => height > 0),
    [0, 9, 24, 6, 2, 0, 0, 0, 0, 0, 0, 0].map((count) => count > 0),
  );
  t.equal(Math.max(...heights), heights[2]);
  t.match(
    picture,
    /aria-label="How long 41 requests took to open; 9 requests: up to 0\.2 s; 24 requests: up to 0\.3 s/,
  );
  t.match(picture, /<title>0 requests: more than 10 s<\/title>/);
  t.end();
});

t.test('replies by exit are named when there are several', (t) => {
  t.notMatch(shown(STATUS), /by exit/);
  const replies = ['exit-a', 'exit-b'].map((requester) => ({ requester, set: 50, measured: 48.7 }));
  t.match(shown({ ...STATUS, replies }), /by exit, .*: exit-a 48\.7 of 50, exit-b 48\.7 of 50\./);
  t.end();
});

t.test('figures are shown as people read them', (t) => {
  t.strictSame([0, 0.04, 0.096, 1.666, 49.96, 102.4, 1234.5].map(figure), [
    '0',
    '0.04',
    '0.1',
    '1.7',
    '50',
    '102',
    '1,235',
  ]);
  t.strictSame([0, 999, 1000, 195_432, 6e6, 2.5e12].map(bytes), ['0 B', '999 B', '1 kB', '195 kB', '6 MB', '2.5 TB']);
  t.strictSame([5, 300, 7200, 864_000].map(duration), ['5 s', '5 min', '2 h', '10 days']);
  t.strictSame([0, 1e-9, 0.0004, 0.071, 0.55, 0.9999, 1].map(percent), [
    '0 %',
    '< 0.001 %',
    '0.04 %',
    '7.1 %',
    '55 %',
    '> 99 %',
    '100 %',
  ]);
  t.strictSame(
    [count(1, 'node'), count(2, 'node'), count(0, 'node is bad', 'nodes are bad')],
    ['1 node', '2 nodes', '0 nodes are bad'],
  );
  t.end();
});

t.test('two minutes of history, and no step back when a session ends', (t) => {
  const clock = new VirtualClock();
  let status = STATUS;
  const history = new StatusHistory(clock, () => status);
  history.start();
  t.strictSame(history.series().main, []);
  clock.advance(1000);
  status = { ...STATUS, sessions: STATUS.sessions.map((session) => ({ ...session, bytesDelivered: 6_150_000 })) };
  clock.advance(1000);
  status = { ...STATUS, sessions: [] };
  clock.advance(1000);
  const { deliveredBytes, reply } = history.series();
  t.strictSame(deliveredBytes.slice(1), [150_000, 0]);
  t.strictSame(reply, [61.2, 61.2, 61.2]);
  for (let i = 0; i < HISTORY_SAMPLES; i++) clock.advance(1000);
  t.equal(history.series().main.length, HISTORY_SAMPLES);
  history.stop();
  t.equal(clock.pending, 0);
  t.end();
});

t.test('the proxy configuration script', (t) => {
  const decide = (socks: string, host: string): unknown => {
    const script = pacScript(socks);
    return new Function(`${script}; return FindProxyForURL(arguments[0], arguments[1]);`)(`http://${host}/`, host);
  };
  t.equal(decide('127.0.0.1:9050', 'example.org'), 'SOCKS5 127.0.0.1:9050', 'never DIRECT, never SOCKS 4');
  t.equal(decide('0.0.0.0:9050', 'intranet'), 'SOCKS5 127.0.0.1:9050');
  t.equal(decide('[::]:9050', '127.0.0.1.example.org'), 'SOCKS5 [::1]:9050');
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
    t.equal(decide('127.0.0.1:1', host), 'DIRECT', host);
  t.equal(pacScript('unix:/run/mixsocks.sock'), undefined);
  t.end();
});

/** A consensus with as many nodes as asked for, of which only roles and layers matter. */
function topology(mixes: readonly number[], gateways: number, requesters: number, meanDelayMs: number): Topology {
  const rates = { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1 };
  const of = (length: number, record: object) => Array.from({ length }, () => ({ ...record }));
  const nodes = [
    ...mixes.flatMap((length, i) => of(length, { role: 'mixnode', layer: i + 1 })),
    ...of(gateways, { role: 'gateway' }),
    ...of(requesters, { role: 'requester' }),
  ].map((record, i) => ({ ...record, identity: i.toString(16).padStart(64, '0'), name: `n${i}`, sphinxKeys: [] }));
  const params = { meanDelayMs, nodeLoopRate: 10, classes: { standard: rates } };
  return new Topology({ epoch: 1, validAfterMs: 0, validUntilMs: 1, params, nodes } as unknown as ConstructorParameters<
    typeof Topology
  >[0]);
}

t.test('the estimate of the mixing pool', (t) => {
  // Of this proxy 50 + 5 + 1 + 100, of the exit 5 + 1, of two gateways 20, of the mixes of other layers 40: on two mixes.
  const small = mixingPool(topology([2, 2, 2], 2, 1, 15), 'standard', 'steady');
  t.match(small, { arrivalsPerSecond: 111, poolPackets: 1.665, othersPackets: 0.495, enough: false });
  t.match(small, { perUserPackets: 0.75, perUserEnough: false, perUserDelayMs: 40 });
  t.match(mixingPool(topology([2, 2, 2], 2, 1, 40), 'standard', 'steady'), { perUserPackets: 2, perUserEnough: true });
  t.ok(Math.abs((small?.aloneShare ?? 0) - Math.exp(-1.665) / 2.665) < 1e-12);
  t.equal(small?.proxiesWanted, Math.ceil(((10_000 / 15 - 111) * 2) / 156));
  t.equal(small?.delayWantedMs, 91);
  t.match(mixingPool(topology([2, 2, 2], 2, 1, 91), 'standard', 'steady'), { enough: true, proxiesWanted: 0 });
  t.match(mixingPool(topology([2, 2, 2], 2, 1, 15), 'standard', 'burst'), { arrivalsPerSecond: 61 });
  t.match(
    mixingPool(topology([2, 4, 2], 2, 1, 15), 'standard', 'steady'),
    { arrivalsPerSecond: 222 / 4 },
    'the emptiest layer',
  );
  t.equal(mixingPool(topology([2, 0, 2], 2, 1, 15), 'standard', 'steady'), undefined);
  t.equal(mixingPool(topology([2, 2, 2], 2, 1, 15), 'other', 'steady'), undefined);
  t.end();
});

/** Relative luminance and contrast: WCAG 2.2. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

t.test('every text colour can be read on its ground, light and dark', (t) => {
  const schemes = [...STYLE.matchAll(/:root \{([^}]*)\}/g)].map(([, rules = '']) =>
    Object.fromEntries([...rules.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name, colour]) => [name, colour])),
  );
  t.equal(schemes.length, 2);
  for (const scheme of schemes) {
    for (const ink of ['ink', 'soft', 'accent', 'good', 'fair', 'bad', 'idle']) {
      for (const ground of ['bg', 'card']) {
        const ratio = contrast(scheme[ink] ?? '', scheme[ground] ?? '');
        t.ok(ratio >= 4.2, `${ink} ${scheme[ink]} on ${ground}: ${ratio.toFixed(1)}`);
      }
    }
  }
  t.end();
});
