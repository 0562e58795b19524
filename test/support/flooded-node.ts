/**
 * A node under a flood, on virtual time: the real policer, and where `keysIn` names a folder the real keys with their replay filters
 * and journals. Sphinx is left out: a packet is its replay tag.
 */
import { exponential } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { type ActiveKey, FairPolicer, type PolicedLink, SphinxKeyRing } from '../../lib/mixing/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from './seeded-rng.ts';
import { monotonic, unix } from './units.ts';

const crypto = createCrypto('fastest');
const STEP_MS = 5;
export const EPOCH_MS = 60_000;
/** How long before its epoch a key is accepted, and after it. */
export const GRACE_MS = EPOCH_MS / 6;
/** When the key of epoch 1000 is accepted first. */
export const FIRST_KEY_MS = 1000 * EPOCH_MS - GRACE_MS;

/** Who sends over a link. */
export interface Flow {
  readonly link: string;
  /** Packets per second at a time, as a Poisson process. */
  readonly perSecond: (nowMs: number) => number;
  /** What else stands in the packet's way: a gateway's bound for its client. */
  readonly passes?: (nowMs: number) => boolean;
}

export interface Tally {
  offered: number;
  /** Let through to the node. */
  sent: number;
  accepted: number;
}

type Policing = Pick<FairPolicer<string>, 'admits' | 'link' | 'setWeights'> &
  Partial<Pick<FairPolicer<string>, 'setRate'>>;

export interface FloodedNodeOptions {
  readonly perSecond: number;
  /** The most that it will ever be set to, and what the filters have room for; `perSecond` by default. */
  readonly mostPerSecond?: number;
  readonly roomPerSecond?: number;
  readonly weights: ReadonlyMap<string, number>;
  /** In place of the real policer: a defence switched off. */
  readonly policer?: (startMs: number) => Policing;
  readonly keysIn?: string;
}

/** All links alike, by names. */
export const alike = (...names: string[]) => new Map(names.map((name) => [name, 1]));
const newest = (keys: readonly ActiveKey[]) => Math.max(...keys.map(({ epoch }) => epoch));
export const namesOf = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

export class FloodedNode {
  readonly tallies = new Map<Flow, Tally>();
  readonly drops: Record<string, number> = {};
  readonly #rng = seededRng(5);
  readonly #tag = Buffer.alloc(32);
  #policer: Policing;
  #keys: SphinxKeyRing | undefined;
  nowMs = 0;
  #named = 0;
  mostTags = 0;
  mostBytes = 0;

  /** Which of the keys that are accepted the packets are for: by default the one that lives longest. */
  aim: (keys: readonly ActiveKey[]) => ActiveKey | undefined = (keys) =>
    keys.find(({ epoch }) => epoch === newest(keys));
  #perSecond: number;

  constructor(readonly options: FloodedNodeOptions) {
    this.#perSecond = options.perSecond;
    this.#policer = this.#newPolicer();
    this.#keys = this.#openKeys();
  }

  /** All of `flows` for `ms`. */
  run(ms: number, flows: readonly Flow[]): void {
    const nextMs = flows.map((flow) => this.nowMs + this.#gapMs(flow, this.nowMs));
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      const stepEndMs = this.nowMs + STEP_MS;
      const arrivals: { atMs: number; flow: Flow }[] = [];
      for (const [i, flow] of flows.entries()) {
        let atMs = nextMs[i] as number;
        for (; atMs < stepEndMs; atMs += this.#gapMs(flow, atMs)) {
          if (flow.perSecond(atMs) > 0) arrivals.push({ atMs, flow });
        }
        nextMs[i] = atMs;
      }
      for (const { atMs, flow } of arrivals.sort((a, b) => a.atMs - b.atMs)) {
        this.nowMs = atMs;
        this.receive(flow);
      }
      this.nowMs = stepEndMs;
      this.#keys?.flush();
    }
  }

  /** One packet of a flow, now. Whether it is accepted. */
  receive(flow: Flow): boolean {
    const tally = this.tally(flow);
    tally.offered += 1;
    if (flow.passes?.(this.nowMs) === false) return false;
    tally.sent += 1;
    const drop = this.#refusal(this.#policer.link(flow.link));
    if (drop === undefined) tally.accepted += 1;
    else this.drops[drop] = (this.drops[drop] ?? 0) + 1;
    return drop === undefined;
  }

  /** The process ends cleanly and begins anew at once, with all that it has on disk, and what it measures then. */
  restart(perSecond = this.#perSecond): void {
    this.#keys?.close();
    this.#perSecond = perSecond;
    this.#policer = this.#newPolicer();
    this.#keys = this.#openKeys();
  }

  /** The machine turns out to carry so much. */
  measure(perSecond: number): void {
    this.#policer.setRate?.(perSecond, monotonic(this.nowMs));
  }

  /** The consensus lists other links. */
  list(weights: ReadonlyMap<string, number>): void {
    this.#policer.setWeights(weights);
  }

  tally(flow: Flow): Tally {
    const tally = this.tallies.get(flow) ?? { offered: 0, sent: 0, accepted: 0 };
    this.tallies.set(flow, tally);
    return tally;
  }

  /** Packets of these flows that reached the node and were not accepted. */
  lost(flows: readonly Flow[]): number {
    return flows.reduce((sum, flow) => sum + this.tally(flow).sent - this.tally(flow).accepted, 0);
  }

  /** Packets per second that all links together got accepted since the start. */
  get acceptedRate(): number {
    const accepted = [...this.tallies.values()].reduce((sum, tally) => sum + tally.accepted, 0);
    return (1000 * accepted) / this.nowMs;
  }

  #newPolicer(): Policing {
    const { weights, policer, mostPerSecond } = this.options;
    const made =
      policer?.(this.nowMs) ?? new FairPolicer<string>(this.#perSecond, monotonic(this.nowMs), mostPerSecond);
    made.setWeights(weights);
    return made;
  }

  #openKeys(): SphinxKeyRing | undefined {
    const { keysIn, mostPerSecond, roomPerSecond = mostPerSecond } = this.options;
    if (keysIn === undefined) return undefined;
    const sizing = new FairPolicer<string>(this.#perSecond, monotonic(0), roomPerSecond);
    const mostPackets = (spanMs: number) => sizing.mostIn(spanMs);
    const rng = seededRng(6);
    return SphinxKeyRing.open(
      { dir: keysIn, crypto, rng, log: silentLog, epochMs: EPOCH_MS, bootId: 'boot', mostPackets },
      this.#wallMs(),
    );
  }

  #wallMs() {
    return unix(FIRST_KEY_MS + this.nowMs);
  }

  #refusal(link: PolicedLink): string | undefined {
    if (!this.#policer.admits(link, monotonic(this.nowMs))) return 'over-share';
    const key = this.aim(this.#keys?.candidates(this.#wallMs()) ?? []);
    this.#tag.writeUInt32LE(++this.#named);
    const outcome = key?.guard.admit(this.#tag) ?? 'fresh';
    const { tags = 0, bytes = 0 } = this.#keys?.filterUse() ?? {};
    this.mostTags = Math.max(this.mostTags, tags);
    this.mostBytes = Math.max(this.mostBytes, bytes);
    return outcome === 'fresh' ? undefined : outcome;
  }

  /** Until the next packet of a flow; of one that is silent, until it is looked at again. */
  #gapMs({ perSecond }: Flow, nowMs: number): number {
    const rate = perSecond(nowMs);
    return rate === 0 ? STEP_MS : exponential(this.#rng, 1000 / rate);
  }
}
