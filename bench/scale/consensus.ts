/**
 * The consensus of networks of many nodes, as the authority's own code makes it in two hours that follow one another: what a member needs
 * to verify it, and what it gets of it.
 * @module
 */

import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import { Differences } from '../../directory/differences.ts';
import { type IdentityHex, identityHexOf, toHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS, epochStartMs } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { type EpochNumber, epochNumber } from '../../lib/core/units.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { CAPACITY_STEPS } from '../../lib/directory/capacity.ts';
import { encodeEnvelope, sign } from '../../lib/directory/envelope.ts';
import {
  applyDifference,
  type Consensus,
  type Descriptor,
  DOCUMENT_VERSION,
  type NetworkFile,
  networkId,
  Topology,
  type VerifiedConsensus,
  Verifier,
} from '../../lib/directory/index.ts';
import { type Case, FULL, measure, QUICK } from '../harness/cpu-time.ts';
import { type Figure, figure } from '../harness/figure.ts';

/** What an ordinary hour changes, as shares of the nodes: so many leave and as many come; so many publish another capacity or shed packets. */
const CHURN = 0.01;
const NEW_CAPACITY = 0.1;
const SHEDDING = 0.02;
/** Of six nodes four are mixes, one a gateway and one a requester. */
const ROLES = ['mix', 'mix', 'mix', 'mix', 'gateway', 'requester'] as const;
const EPOCH = epochNumber(495_000);
const AUTHORITIES = 4;
const THRESHOLD = 3;

const crypto = createCrypto('fastest');
const seeds = Array.from({ length: AUTHORITIES }, () => systemRng.bytes(32));
const network: NetworkFile = {
  name: 'bench',
  epochSeconds: DEFAULT_PARAMS.epochMs / 1000,
  payloadBytes: DEFAULT_PARAMS.payloadBytes,
  authorities: seeds.map((seed, i) => ({
    id: identityHexOf(crypto.ed25519PublicKey(seed)),
    url: `http://authority-${i}.test`,
  })),
  threshold: THRESHOLD,
};
const verifier = new Verifier(network, crypto);
const networkHex = toHex(networkId(network, crypto));

export function consensusFigures(sizes: readonly number[], quick: boolean): Figure[] {
  const hours = sizes.map((nodes) => ({ nodes, ...hourOf(nodes) }));
  const cases = hours.flatMap(({ nodes, before, next, difference }): Case[] => [
    { name: `verify ${nodes}`, run: () => void new Topology(verifier.consensus(next.text).consensus) },
    { name: `apply ${nodes}`, run: () => void applyDifference(difference, before, crypto) },
  ]);
  const times = measure(cases, quick ? QUICK : FULL);
  return hours.flatMap(({ nodes, next, difference }) => {
    const whole = Buffer.byteLength(next.text);
    const of = (name: string, unit: string, value: number) => figure(`scale.consensus.${name}`, unit, value, { nodes });
    return [
      of('verify', 'us', times.get(`verify ${nodes}`) ?? NaN),
      of('apply', 'us', times.get(`apply ${nodes}`) ?? NaN),
      of('whole', 'B', whole),
      of('difference', 'B', difference.byteLength),
      of('share', 'ratio', difference.byteLength / whole),
    ];
  });
}

/** Two consensuses that follow one another, and what an authority sends to who has the first. */
function hourOf(count: number): { before: VerifiedConsensus; next: VerifiedConsensus; difference: Buffer } {
  const nodes = Array.from({ length: count }, (_, i) => new SimulatedNode(i));
  const before = signed(EPOCH, nodes, undefined);
  const staying = nodes.slice(Math.ceil(CHURN * count));
  const coming = nodes.slice(0, -staying.length).map(({ index }) => new SimulatedNode(index));
  for (const node of staying) node.anHourLater();
  const next = signed(epochNumber(EPOCH + 1), [...staying, ...coming], before.consensus);
  const served = new Differences((epoch) => (epoch === EPOCH ? before : undefined));
  const difference = served.to(next, `"${before.digest}"`);
  if (difference === undefined) throw new Error('the authority gives no difference');
  return { before, next, difference };
}

function signed(epoch: EpochNumber, nodes: readonly SimulatedNode[], last: Consensus | undefined): VerifiedConsensus {
  const gateways = nodes.filter(({ role }) => role === 'gateway').map(({ identity }) => identity);
  const descriptors = nodes.map((node) => node.descriptor(epoch, gateways));
  const records = nodesFor(epoch, descriptors, network, DEFAULT_PARAMS, last);
  const payload = JSON.stringify(buildConsensus(epoch, records, DEFAULT_PARAMS, networkHex, descriptors, last));
  const signatures = seeds.slice(0, THRESHOLD).map((seed) => sign('consensus', payload, seed, crypto));
  return verifier.consensus(encodeEnvelope({ payload, signatures }));
}

class SimulatedNode {
  readonly identity = hex32() as IdentityHex;
  readonly #keys = new Map<number, string>();
  readonly #port = 1024 + systemRng.int(60_000);
  readonly #host = Array.from(systemRng.bytes(3), (byte) => `.${byte}`).join('');
  readonly #gatewayAt = systemRng.int(2 ** 30);
  #step = 30 + systemRng.int(4);
  #shed = 0;

  constructor(readonly index: number) {}

  get role(): (typeof ROLES)[number] {
    return ROLES[this.index % ROLES.length] as (typeof ROLES)[number];
  }

  anHourLater(): void {
    if (systemRng.uniform() < NEW_CAPACITY) this.#step += systemRng.uniform() < 0.5 ? 1 : -1;
    this.#shed = systemRng.uniform() < SHEDDING ? 5 : 0;
  }

  descriptor(epoch: number, gateways: readonly IdentityHex[]): Descriptor {
    const common = {
      version: DOCUMENT_VERSION,
      network: networkHex,
      identity: this.identity,
      publishedMs: epochStartMs(epochNumber(epoch), DEFAULT_PARAMS.epochMs),
      name: `${this.role}-${this.index}.example`,
      family: `owner-${this.index % 50}`,
      sphinxKeys: [epoch, epoch + 1, epoch + 2].map((one) => ({ epoch: one, key: this.#keyOf(one) })),
    };
    const listening = { host: `203${this.#host}`, port: this.#port };
    const carries = { capacity: CAPACITY_STEPS[this.#step], shed: this.#shed };
    if (this.role === 'mix')
      return { ...common, role: 'mixnode', layer: 1 + (this.index % 3), ...listening, ...carries } as Descriptor;
    if (this.role === 'gateway') return { ...common, role: 'gateway', ...listening, ...carries } as Descriptor;
    const own = [0, 1].map((i) => gateways[(this.#gatewayAt + i) % gateways.length]);
    const named = [...new Set(own)].map((gateway) => ({
      gateway,
      madeMs: common.publishedMs,
      signature: '0'.repeat(128),
    }));
    return { ...common, role: 'requester', exitPolicy: 'accept *:80,443; reject *', gateways: named } as Descriptor;
  }

  #keyOf(epoch: number): string {
    const key = this.#keys.get(epoch) ?? hex32();
    this.#keys.set(epoch, key);
    return key;
  }
}

function hex32(): string {
  return toHex(systemRng.bytes(32));
}
