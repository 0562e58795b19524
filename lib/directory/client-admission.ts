/**
 * How many clients each gateway may admit, from what the nodes say that they carry. A network whose cover has fixed rates cannot
 * back off when it is asked for too much, so that it has to be asked for less.
 *
 * - A layer carries the *lower quartile* of what its nodes say times those that clients use. Of three or more it is never the
 *   least, so that one liar neither closes the network nor inflates it.
 * - What a node sheds is taken from what it carries.
 * - What the weakest layer carries is shared max-min among the gateways: none gets more than it says it carries itself.
 * - A number moves by a fifth an epoch at most, or by one. It bounds who is admitted: nobody is disconnected.
 * - *Loss.* A node that is about to be marked as lossy (loss-marks.ts) is left out of what its layer carries at once, but gets the
 *   mark only when the others carry what was admitted by the last consensus: the mark pushes nobody over his capacity. Numbers
 *   fall to what fits within a few epochs, so that no mark waits for longer.
 *
 * No route and no choice of a guard depends on capacity: whoever claims much attracts nothing.
 *
 * Pure, and in whole numbers: the same descriptors, in whatever order, and the same last consensus give the same everywhere.
 * docs/PROTOCOL.md section 4.8 has the rules.
 * @module
 */
import type { IdentityHex } from '../core/bytes.ts';
import type { NetworkParams } from '../core/params.ts';
import { MAX_CLIENTS } from './capacity.ts';
import type { Consensus, Descriptor } from './documents.ts';
import { isLossy, RING_SIZE, ringOf } from './ring.ts';

/** Clients that a gateway admits whatever is measured: a network that takes itself for too slow stays open for its first ones. */
export const LEAST_CLIENTS = 4;

/** A mix or gateway, as far as its capacity goes. */
type Carrier = Pick<Exclude<Descriptor, { role: 'requester' }>, 'identity' | 'role' | 'capacity' | 'shed'> & {
  readonly layer?: 1 | 2 | 3;
};
type Listed = Pick<Descriptor, 'identity' | 'role'>;

export interface ClientAdmission {
  /** Clients of class standard, or what makes as many packets, by gateway; empty where no node says what it carries. */
  readonly maxClients: ReadonlyMap<IdentityHex, number>;
  /** Which of the candidates are marked as lossy. */
  readonly marked: ReadonlySet<IdentityHex>;
}

/** `candidates`: the listed nodes that lose packets, which get a mark when there is room. `last`: the consensus before. */
export function admitClients(
  listed: readonly Listed[],
  candidates: ReadonlySet<IdentityHex>,
  params: Pick<NetworkParams, 'classes' | 'nodeLoopRate'>,
  last: Pick<Consensus, 'nodes'> | undefined,
): ClientAdmission {
  const carriers = listed.filter((node): node is Listed & Carrier => node.role !== 'requester');
  const ring = ringOf<Carrier>(carriers);
  const load = loadOf(params, listed.length - carriers.length, carriers.length);
  const layers = ring.slice(0, RING_SIZE - 1);
  const gateways = [...(ring[RING_SIZE - 1] ?? [])].sort((a, b) => (a.identity < b.identity ? -1 : 1));
  const rooms = layers.map((layer) => roomIn(layer, candidates, load));
  const before = lastNumbers(last);
  const admitted = gateways.reduce((sum, { identity }) => sum + (before.get(identity) ?? 0), 0);
  const isFull = (room: number) => admitted > Math.max(room, LEAST_CLIENTS * gateways.length);
  const waiting = new Set(layers.filter((_, i) => isFull(rooms[i] as number)).flatMap((layer) => layer.map(idOf)));
  const already = new Set(last?.nodes.filter(isLossy).map(idOf));
  const marked = new Set([...candidates].filter((identity) => already.has(identity) || !waiting.has(identity)));
  if (load.client === 0 || carriers.every(({ capacity }) => capacity === undefined))
    return { maxClients: new Map(), marked };
  const own = gateways.map((gateway) => Math.max(LEAST_CLIENTS, roomAt(gateway, gateways.length, load)));
  const shares = shared(own, Math.min(...rooms));
  const maxClients = gateways.map(({ identity }, i): [IdentityHex, number] => [
    identity,
    moved(shares[i] as number, before.get(identity)),
  ]);
  return { maxClients: new Map(maxClients), marked };
}

const idOf = ({ identity }: { readonly identity: IdentityHex }): IdentityHex => identity;

/** Packets per second that pass each stage of the ring, in thousandths. */
interface Load {
  /** Of a client of class standard. */
  readonly client: number;
  /** Cover of all exits. */
  readonly exits: number;
  /** Loops of each mix and gateway, and how many of these there are. */
  readonly nodeLoops: number;
  readonly nodes: number;
}

const THOUSANDTHS = 1000;
const PER_CENT = 100;

function loadOf(
  { classes, nodeLoopRate }: Pick<NetworkParams, 'classes' | 'nodeLoopRate'>,
  exits: number,
  nodes: number,
): Load {
  const { mainRate = 0, replyRate = 0, loopRate = 0, dropRate = 0 } = classes.standard ?? {};
  const [main, replies, loops, drop, nodeLoops] = [mainRate, replyRate, loopRate, dropRate, nodeLoopRate].map((rate) =>
    Math.round(THOUSANDTHS * rate),
  ) as [number, number, number, number, number];
  return { client: main + replies + loops + drop, exits: exits * (loops + drop), nodeLoops, nodes };
}

/** What passes `stage` without a client: a loop of a node passes each stage but its own. */
function coverOf(stage: readonly Carrier[], { exits, nodeLoops, nodes }: Load): number {
  return exits + nodeLoops * (nodes - stage.length);
}

/** Clients that a layer carries without the `candidates`, which it is to do without. */
function roomIn(layer: readonly Carrier[], candidates: ReadonlySet<IdentityHex>, load: Load): number {
  const typical = lowerQuartile(layer.flatMap((node) => capacityOf(node) ?? []));
  const used = layer.filter(({ identity }) => !candidates.has(identity)).length;
  return typical === undefined ? MAX_CLIENTS : clientsIn(used * typical, coverOf(layer, load), load);
}

/** Clients that one of `gateways` carries: for each of its own it has as many packets to unwrap, on average, as a layer. */
function roomAt(gateway: Carrier, gateways: number, load: Load): number {
  const capacity = capacityOf(gateway);
  if (capacity === undefined) return MAX_CLIENTS;
  const { exits, nodeLoops, nodes } = load;
  const cover = Math.floor((exits + nodeLoops * (nodes - gateways)) / gateways);
  return clientsIn(capacity, cover, load);
}

function clientsIn(capacity: number, cover: number, { client }: Load): number {
  const clients = client === 0 ? MAX_CLIENTS : Math.floor((THOUSANDTHS * capacity - cover) / client);
  return Math.max(0, Math.min(MAX_CLIENTS, clients));
}

/** Packets per second; undefined of a node that does not say. */
function capacityOf({ capacity, shed = 0 }: Carrier): number | undefined {
  return capacity === undefined ? undefined : Math.floor((capacity * (PER_CENT - shed)) / PER_CENT);
}

/** Of three or more never the least. */
function lowerQuartile(values: readonly number[]): number | undefined {
  const ascending = [...values].sort((a, b) => a - b);
  const index = Math.floor(ascending.length / 4);
  return ascending[ascending.length < 3 ? 0 : Math.max(1, index)];
}

/** Divides `total` among those who take at most `own` each, max-min, in whole numbers; what is left of the division is nobody's. */
function shared(own: readonly number[], total: number): number[] {
  const shares = own.map(() => 0);
  const ascending = [...own.keys()].sort((a, b) => (own[a] as number) - (own[b] as number));
  let left = total;
  for (const [i, gateway] of ascending.entries()) {
    const share = Math.min(own[gateway] as number, Math.floor(left / (ascending.length - i)));
    shares[gateway] = share;
    left -= share;
  }
  return shares;
}

function lastNumbers(last: Pick<Consensus, 'nodes'> | undefined): ReadonlyMap<IdentityHex, number> {
  const numbers = last?.nodes.flatMap((node): [IdentityHex, number][] =>
    node.role === 'gateway' && node.maxClients !== undefined ? [[node.identity, node.maxClients]] : [],
  );
  return new Map(numbers);
}

/** Towards `target`, a fifth of what it was `before` at most, or one. */
function moved(target: number, before: number | undefined): number {
  if (before === undefined) return Math.max(LEAST_CLIENTS, target);
  const least = Math.min(before - 1, Math.ceil((4 * before) / 5));
  const most = Math.max(before + 1, Math.floor((6 * before) / 5));
  return Math.min(MAX_CLIENTS, Math.max(LEAST_CLIENTS, Math.min(most, Math.max(least, target))));
}
