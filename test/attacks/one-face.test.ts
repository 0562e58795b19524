/**
 * An exit compares the sessions of its users: from when acknowledgements come, how large windows are, how long streams are waited for, it tells which
 * program, version or configuration each runs, and knows a user again by it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { AccessTerms } from '../../lib/access/terms.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { SESSION_PARAM_NAMES } from '../../lib/core/session-params.ts';
import { invitationLine } from '../../lib/directory/index.ts';
import { SURB_BYTES } from '../../lib/transport/limits.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { decodeUplink } from '../../lib/transport/wire/payload.ts';
import { SWITCHES } from '../../proxy/front/listener.ts';
import { ProxyConfig } from '../../proxy/index.ts';
import { smallTopology } from '../support/nodes.ts';
import { FACE_SESSION, faceOf } from '../support/sim/face-run.ts';
import { type FaceOptions, REQUESTERS, type Seen } from '../support/sim/face-world.ts';

/** The front removes it when it stops. */
const socket = join(tmpdir(), `mixsocks-face-${process.pid}`);
const tcp = '127.0.0.1:0';
const gateway = smallTopology(2).gateways[1]?.id;

/** Every option of a proxy. `hidden`: no exit sees it, here set to something else. `shown`: PROTOCOL 6.12 lists it. */
const OPTIONS = {
  dir: { hidden: '/home/other' },
  networkFile: { hidden: '/home/other/a-network.json' },
  socksListen: { hidden: [`unix:${socket}+safe-socks+extended-errors+prefer-no-auth+allow-private+group=g`] },
  allowRemote: { hidden: true },
  safeSocks: { hidden: true },
  extendedErrors: { hidden: true },
  preferNoAuth: { hidden: true },
  statusListen: { hidden: '127.0.0.1:4711' },
  statusHosts: { hidden: ['proxy.example'] },
  logLevel: { hidden: 'trace' },
  crypto: { hidden: 'noble' },
  name: { hidden: 'another name' },
  allowPrivate: { hidden: true },
  maxIdentities: { hidden: 2 },
  requester: { hidden: REQUESTERS[0]?.id },
  gateway: { hidden: gateway },
  maxConnections: { hidden: 9 },
  maxConnectionsPerSource: { hidden: 0 },
  memoryBudgetMiB: { hidden: 16 },
  handshakeTimeoutMs: { hidden: 700 },
  invitation: { hidden: [invitationLine({ gateways: [gateway as IdentityHex], token: 'ab'.repeat(32) })] },
  linkKeyExchange: { hidden: 'x25519' },
  outboundAddress: { hidden: '127.0.0.2' },
  downlink: { shown: 'burst' },
  trafficClass: { shown: 'fast' },
  requesterSpread: { shown: 2 },
  accessToken: { shown: 'let me in' },
} as const satisfies Readonly<Record<keyof ProxyConfig, { hidden: unknown } | { shown: unknown }>>;
/** The switches of a listener that are shown; one of them only where clients have several addresses. */
const SHOWN_SWITCHES: Readonly<Record<string, unknown>> = {
  optimistic: { socksListen: [`${tcp}+optimistic`] },
  'isolate-credentials': { socksListen: [`${tcp}+isolate-credentials=no`] },
};
/** Options that programs give their own client: what they do is shown as what any application does. */
const OF_PROGRAMS = ['connectTimeoutMs'];

const build = (options: object = {}) => ProxyConfig.parse({ dir: '/home/one', socksListen: [tcp], ...options });
const hidden = Object.fromEntries(
  Object.entries(OPTIONS).flatMap(([name, option]) => ('hidden' in option ? [[name, option.hidden]] : [])),
);
const shown = Object.entries(OPTIONS).flatMap(([name, option]) =>
  'shown' in option ? [[name, { [name]: option.shown }] as const] : [],
);

/** What an exit sees, as lines of time and bytes. `opaque`: without what stands encrypted in reply blocks. */
async function face(options: object = {}, world: Partial<FaceOptions> = {}, opaque = false, first = false) {
  const seen = await faceOf(build(options), { session: FACE_SESSION, ...world }, first);
  return seen.map((packet) => `${packet.atMs} ${packet.exit} ${digestOf(packet, opaque)}`);
}

function digestOf({ plaintext }: Seen, opaque: boolean): string {
  const bytes = Buffer.from(plaintext);
  if (opaque) {
    for (const frame of decodeUplink(bytes)?.frames ?? []) {
      // The prefix of the first hop stays; behind it is what only the nodes of the way can read.
      if (frame.type === FRAME.SURBS) for (const block of frame.blocks) block.fill(0, 8, SURB_BYTES);
    }
  }
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

const usual = face();
/** The same without sealing. */
const quick = { quick: true };
const quickUsual = face({}, quick);

t.test('every option of a proxy is known to be hidden from exits, or listed in PROTOCOL', async (t) => {
  const protocol = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
  const section = protocol.split('### 6.12 One face')[1]?.split('\n## ')[0] ?? '';
  t.strictSame(Object.keys(OPTIONS).sort(), Object.keys(ProxyConfig.shape).sort());
  const programs = Object.keys(AccessTerms.shape).filter((name) => !Object.hasOwn(OPTIONS, name));
  t.strictSame(programs, OF_PROGRAMS);
  for (const name of Object.keys(SWITCHES)) {
    const isHidden = String(OPTIONS.socksListen.hidden).includes(`+${name}`);
    t.ok(isHidden || section.includes(`\`${name}\``), `listener +${name} is varied, or listed`);
  }
  for (const name of [...shown.map(([key]) => key), ...Object.keys(SHOWN_SWITCHES), ...SESSION_PARAM_NAMES]) {
    t.ok(section.includes(`\`${name}\``), `6.12 names ${name}`);
  }
  const usualBuild = build();
  for (const [name, value] of Object.entries(build(hidden))) {
    if (Object.hasOwn(hidden, name)) t.notSame(value, usualBuild[name as keyof ProxyConfig], `${name} is varied`);
  }
});

t.test('two builds with different settings look the same, to the byte and the millisecond', async (t) => {
  const { gateway: _gateway, crypto: _crypto, requester, ...most } = hidden;
  t.strictSame(await face(most), await usual, 'all but gateway, requester and crypto');
  const alone = { listed: 1 };
  t.strictSame(await face({ ...most, requester }, alone), await face({}, alone), 'where there is one requester, named');
  const opaque = await face({}, {}, true);
  t.strictSame(await face({ ...most, gateway }, {}, true), opaque, 'with another gateway');
  t.strictSame(await face({}, { guard: 1 }, true), opaque, 'with another guard');
  const firstPackets = await face({ ...most, crypto: 'noble' }, {}, false, true);
  t.ok(firstPackets.length > 10);
  t.strictSame(firstPackets, (await usual).slice(0, firstPackets.length), 'with the other crypto');
});

t.test('what is listed as shown does show, so the same test would see an option that is not listed', async (t) => {
  for (const [name, options] of [...shown, ...Object.entries(SHOWN_SWITCHES)]) {
    t.notSame(await face(options as object, quick), await quickUsual, name);
  }
});

t.test('a proxy that has a local setting in place of a parameter of its network is distinguished', async (t) => {
  for (const name of SESSION_PARAM_NAMES) {
    const session = { ...FACE_SESSION, [name]: Math.ceil(1.5 * FACE_SESSION[name]) };
    t.notSame(await face({}, { ...quick, session }), await quickUsual, name);
  }
  const times = { streamIdleMs: build().handshakeTimeoutMs };
  t.notSame(await face({}, { ...quick, times }), await quickUsual, 'its idle time');
});
