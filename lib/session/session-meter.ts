/**
 * What the sessions of a process have done, summed over those that run and those that ended. Nothing has a label that
 * names a session.
 * @module
 */
import type { Metrics } from '../telemetry/metrics.ts';
import type { CloseReason, SessionStats, SurbStockStats } from '../transport/types.ts';

/** One end of a session, as far as it is counted. */
export interface Metered {
  stats(): SessionStats;
  surbStats(): Pick<SurbStockStats, 'received' | 'used' | 'expired' | 'evicted'>;
}

type Totals = ReturnType<typeof totalsOf>;

function totalsOf(session: Metered) {
  const stats = session.stats();
  const { received, used, expired, evicted } = session.surbStats();
  return {
    packets: {
      sent: stats.packetsSent,
      eliciting: stats.elicitingSent,
      received: stats.packetsReceived,
      lost: stats.packetsLost,
      spurious: stats.packetsLostSpuriously,
      probe: stats.probes,
      repeat: stats.repeats,
      duplicate: stats.duplicatesReceived,
    },
    bytes: { sent: stats.bytesSent, retransmitted: stats.bytesRetransmitted, delivered: stats.bytesDelivered },
    surbs: { received, used, expired, evicted },
    streams: { opened: stats.streamsOpened },
  };
}

export class SessionMeter {
  readonly #live = new Set<Metered>();
  readonly #ended: Totals[] = [];
  #begun = 0;
  #hoarding = 0;
  #flooding = 0;

  constructor(metrics: Metrics) {
    const sum = (group: keyof Totals) => () => {
      const all = [...this.#ended, ...[...this.#live].map(totalsOf)];
      return addUp<string>(all.map((totals) => totals[group]));
    };
    const { packets, bytes, surbs, streams } = HELP;
    metrics.counterOf('session_packets_total', packets, 'event', sum('packets'));
    metrics.counterOf('session_bytes_total', bytes, 'event', sum('bytes'));
    metrics.counterOf('session_surbs_total', surbs, 'event', sum('surbs'));
    metrics.counterOf('session_streams_total', streams, 'event', sum('streams'));
    metrics.counterOf('sessions_total', HELP.sessions, 'event', () => ({
      begun: this.#begun,
      hoarding: this.#hoarding,
      flooding: this.#flooding,
    }));
    metrics.gaugeOf('sessions', 'Sessions that run', () => this.#live.size);
    metrics.gaugeOf('session_streams', 'Streams of all sessions', () => this.#sum((stats) => stats.streamsOpen));
    metrics.gaugeOf('session_queued_bytes', 'Bytes of streams that wait to be sent', () =>
      this.#sum((stats) => stats.bytesQueued),
    );
  }

  begun(session: Metered): void {
    this.#begun += 1;
    this.#live.add(session);
  }

  ended(session: Metered, reason?: CloseReason): void {
    if (!this.#live.delete(session)) return;
    if (reason === 'hoarding') this.#hoarding += 1;
    if (reason === 'flooding') this.#flooding += 1;
    this.#ended.push(totalsOf(session));
    if (this.#ended.length > MAX_TOTALS) this.#ended.splice(0, this.#ended.length, addGroups(this.#ended));
  }

  #sum(pick: (stats: SessionStats) => number): number {
    let sum = 0;
    for (const session of this.#live) sum += pick(session.stats());
    return sum;
  }
}

/** Totals of ended sessions are added up whenever there are this many. */
const MAX_TOTALS = 16;

const HELP = {
  packets:
    'Packets of sessions; lost: given up, of these spurious: acknowledged later; repeat: said once more in a free slot',
  bytes: 'Bytes of streams',
  surbs: 'Reply blocks, by the account of the requester',
  streams: 'Streams of sessions',
  sessions:
    'Sessions begun; hoarding: ended because the requester kept reply blocks back; flooding: because it sent more than it was asked for',
};

function addUp<Key extends string>(all: readonly Readonly<Record<Key, number>>[]): Record<Key, number> {
  const sum = {} as Record<Key, number>;
  for (const one of all) {
    for (const [key, value] of Object.entries(one) as [Key, number][]) sum[key] = (sum[key] ?? 0) + value;
  }
  return sum;
}

function addGroups(all: readonly Totals[]): Totals {
  return {
    packets: addUp(all.map((totals) => totals.packets)),
    bytes: addUp(all.map((totals) => totals.bytes)),
    surbs: addUp(all.map((totals) => totals.surbs)),
    streams: addUp(all.map((totals) => totals.streams)),
  };
}
