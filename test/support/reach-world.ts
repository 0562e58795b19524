/** Reachability on the virtual clock: the test says who answers where, and sees what was dialled. */
import { type Attempt, Reachability, type ReachabilityOptions } from '../../directory/reachability.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { type Descriptor, DocumentRefused } from '../../lib/directory/index.ts';
import { type HostPort, joinHostPort } from '../../lib/net/address.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from './seeded-rng.ts';
import { descriptorOf, draft, testNetwork } from './signed-documents.ts';
import { VirtualClock } from './virtual-clock.ts';

export const EPOCH_MS = 3_600_000;
/** How long an address where nobody answers takes. */
export const SILENCE_MS = 5_000;
const network = testNetwork();

/** What happens at an address: why it fails, `silence`, or nothing, where the node answers. */
export type Answer = string | undefined;

export class ReachWorld {
  readonly clock = new VirtualClock();
  /** All that was dialled, in order. */
  readonly dialled: string[] = [];
  readonly answers = new Map<string, Answer>();
  readonly held = new Map<IdentityHex, { descriptor: Descriptor }>();
  readonly reachability: Reachability;
  /** Dials at the same time, now and at most. */
  busy = 0;
  busiest = 0;

  constructor(Kind: typeof Reachability = Reachability, options: Partial<ReachabilityOptions> = {}) {
    const { clock } = this;
    this.reachability = new Kind({
      attempt: this.#attempt,
      refusalOf: () => undefined,
      epochMs: EPOCH_MS,
      clock,
      rng: seededRng(1),
      log: silentLog,
      ...options,
    });
  }

  readonly #attempt: Attempt = async ({ host, port, ipv6 }) => {
    const all = [{ host, port }, ...(ipv6 === undefined ? [] : [ipv6])].map((one) => joinHostPort(one.host, one.port));
    this.dialled.push(...all);
    this.busy += 1;
    this.busiest = Math.max(this.busiest, this.busy);
    const answer = all.map((at) => this.answers.get(at)).find((one) => one !== undefined);
    if (answer === 'silence') await new Promise<void>((resolve) => this.clock.after(SILENCE_MS, resolve));
    this.busy -= 1;
    return answer;
  };

  /** Node `n` announces itself at `host:port`, and at `ipv6` besides; what comes of it, when it is known. */
  announce(n: number, host: string, port = 4000, ipv6?: HostPort): Promise<string> {
    const at = { host, port, ...(ipv6 === undefined ? {} : { ipv6 }) };
    const descriptor = descriptorOf(network, n, draft('gateway', [1, 2], at), 0);
    this.held.set(descriptor.identity, { descriptor });
    return this.reachability.confirm(descriptor, 7_500).then(
      () => 'reached',
      (error: unknown) => (error instanceof DocumentRefused ? `${error.reason}: ${error.message}` : String(error)),
    );
  }

  counts(n: number): boolean {
    const { identity } = descriptorOf(network, n, draft('gateway', [1, 2]), 0);
    const held = this.held.get(identity);
    return held !== undefined && this.reachability.counts(held.descriptor);
  }

  /** Time passes, with a look each 30 s. */
  async pass(ms: number): Promise<void> {
    for (const endMs = this.clock.nowMs() + ms; this.clock.nowMs() < endMs; ) {
      this.clock.advance(Math.min(30_000, endMs - this.clock.nowMs()));
      this.reachability.tick(this.held);
      await settled();
    }
  }
}

/** What waits for no time is done. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
