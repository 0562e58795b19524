/**
 * The door of a gateway: its real registry of clients, at which clients dial, leave and stay on a virtual clock.
 */
import type { ClientPort } from '../../gateway/client.ts';
import { Clients } from '../../gateway/clients.ts';
import { ConsensusFrames } from '../../gateway/consensus-frames.ts';
import { seatsOf } from '../../gateway/seats.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { ClientTerms } from '../../lib/link/index.ts';
import { seededRng } from './seeded-rng.ts';
import { monotonic } from './units.ts';

export const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;
export const termsOf = (trafficClass: string): ClientTerms => ({ trafficClass, clocked: false });
const REQUESTERS: ReadonlySet<string> = new Set([900, 901, 902].map(idOf));

/** A gateway that may admit `seats` clients of class standard; 900 to 902 are requesters. */
export class Door {
  seats: number;
  nowMs = 0;
  readonly clients: Clients;
  readonly ports = new Map<number, ClientPort>();

  constructor(seats: number) {
    this.seats = seats;
    this.clients = new Clients({
      limits: {
        maxClients: 100,
        maxRequesters: 2,
        mailboxPackets: 4,
        mailboxTotalPackets: 6,
        maxDeliveryRate: 1000,
      },
      isRequester: (id) => REQUESTERS.has(id),
      seats: { taken: (trafficClass) => seatsOf(DEFAULT_PARAMS, trafficClass), most: () => this.seats },
      rng: seededRng(1),
      classRates: () => undefined,
      consensus: new ConsensusFrames(2413),
      rateOf: () => ({ packetsPerSecond: 10, burst: 2 }),
      mailboxLifeMs: () => 600_000,
      onResult: () => {},
      onTick: () => {},
      onSilent: () => {},
    });
  }

  /** Client `n` dials; the answer. */
  dial(n: number, trafficClass = 'standard') {
    const verdict = this.clients.admits(idOf(n), termsOf(trafficClass));
    if (verdict !== true) return verdict;
    const port: ClientPort = {
      peer: idOf(n),
      client: termsOf(trafficClass),
      send: () => 'sent',
      sendPadding: () => 'sent',
      sendConsensus: () => 'sent',
      queued: () => 0,
      close: () => this.leave(n),
    };
    this.ports.set(n, port);
    this.clients.connect(port, monotonic(this.nowMs));
    return true;
  }

  leave(n: number, broke = false): void {
    const port = this.ports.get(n);
    this.ports.delete(n);
    if (port !== undefined) this.clients.disconnect(port, monotonic(this.nowMs), broke);
  }

  /** Time passes; all that are connected send. */
  wait(ms: number, sending = true): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 1000;
      if (sending) for (const port of this.ports.values()) this.clients.mayRelay(port, monotonic(this.nowMs));
      this.clients.upkeep(monotonic(this.nowMs));
    }
  }
}
