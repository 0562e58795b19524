/**
 * Reads what a proxy or client knows of its machine, its sessions and the network, for the judgements about requests
 * (judge.ts) and transfers (transfers.ts). It has no timer: `look` is called with the count of replies, once a second.
 * @module
 */
import { lawTimes, SLOT_QUANTILE } from '../../core/delay-law.ts';
import type { LaneStats } from '../../link/index.ts';
import { summaryAllows } from '../../net/port-list.ts';
import type { ProxySession, SessionStream } from '../../session/index.ts';
import { HubStream } from '../../session/proxy/hub-stream.ts';
import type { ProxyMixnet } from '../mixnet.ts';
import { slotsMissed } from '../status/status-of.ts';
import { type Situation, UNTROUBLED } from './judge.ts';
import { LOOKS, MachineLateness } from './machine-lateness.ts';
import type { RecentTroubles } from './recent-troubles.ts';
import { type TransferReading, TransferWatch } from './transfers.ts';

/** Where requests get their judgement from: the stream asked for, and its port, as far as there are any. */
export type SituationOf = (stream: SessionStream | undefined, port: number | undefined) => Situation;

export class Diagnosis {
  readonly #machine = new MachineLateness();
  readonly #transfers = new TransferWatch<ProxySession>();
  /** Sources of the list of nodes that are behind, and with which epoch's. */
  #behind: ReadonlySet<string> = new Set();
  /** Times that the link to a gateway came up again. */
  #reconnects = 0;
  #looks = 0;

  constructor(private readonly mixnet: ProxyMixnet) {}

  /** To be called once a second; what it finds of transfers goes to `troubles`. */
  look(troubles: RecentTroubles, nowMs: Parameters<MachineLateness['look']>[1]): void {
    const { endpoint, hub, directory } = this.mixnet;
    this.#lookAtSources(troubles);
    if (endpoint === undefined || hub === undefined) return;
    const { mainRate, loopRate, dropRate } = endpoint.trafficClass;
    const { link, loop, drop } = endpoint.stats();
    const lanes = [hub.laneStats(), loop, drop];
    const departures = lanes.reduce((sum, lane) => sum + (lane === undefined ? 0 : departuresOf(lane)), 0);
    const ticksPerSecond = mainRate + loopRate + dropRate;
    const counters = { slotsMissed: slotsMissed(this.mixnet), departures, unread: link?.inboundDropped ?? 0 };
    this.#machine.look({ ...counters, ticksPerSecond }, nowMs);
    this.#lookAtLink(link?.reconnects ?? 0, troubles);
    this.#looks += 1; // a machine that is too slow is so without requests, too
    if (this.#looks % LOOKS === 0 && this.#machine.missesTicks) troubles.note('machine-slow', 'slow', 'clock');
    if (this.#looks % LOOKS === 0 && this.mixnet.isOverCapacity)
      troubles.note('network-full', this.mixnet.gatewaysFull ? 'refused' : 'slow', 'link');
    const sessions = hub.sessions();
    const readings = new Map(sessions.map((session) => [session, readingOf(session)]));
    const reasons = this.#transfers.look(readings, {
      machineIsLate: this.#machine.isLate,
      payloadBytes: directory.topology()?.params.payloadBytes ?? 0,
      mainRate: mainRate / Math.max(1, sharing(sessions)),
    });
    for (const reason of reasons) troubles.note(reason, 'slow', 'transfer');
  }

  /** Gateways end the links of clients that send too little, without a word. */
  #lookAtLink(reconnects: number, troubles: RecentTroubles): void {
    if (reconnects > this.#reconnects && this.#machine.sendsTooLittle)
      troubles.note('machine-slow', 'broken off', 'link');
    this.#reconnects = reconnects;
  }

  readonly situation: SituationOf = (stream, port) => {
    const mixnet = this.mixnet;
    const sessions = mixnet.hub?.sessions() ?? [];
    return {
      obstacle: mixnet.obstacle()?.code,
      clockIsWrong: mixnet.directory.clockFault !== undefined,
      noCommonGroup: mixnet.noCommonGroup,
      accessRefusal: mixnet.accessRefusal,
      networkIsFull: mixnet.isOverCapacity,
      versionsDiffer: mixnet.hub?.versionMismatch !== undefined,
      portIsClosed: port !== undefined && this.#isClosed(port),
      machineIsLate: this.#machine.isLate,
      lossShare: Math.max(0, ...sessions.filter(inUse).map((session) => session.stats().lossRatio)),
      loopAlarm: mixnet.endpoint?.loops().alarm ?? false,
      sharing: sharing(sessions),
      lawfulOpenMs: this.#lawfulOpenMs(),
      ...sessionOf(stream),
    };
  };

  #isClosed(port: number): boolean {
    const requesters = this.mixnet.directory.topology()?.requesters ?? [];
    return requesters.length > 0 && requesters.every(({ exitPolicy }) => !summaryAllows(exitPolicy, port));
  }

  /** Each list of nodes that a source has not given is noted once. */
  #lookAtSources(troubles: RecentTroubles): void {
    const { directory } = this.mixnet;
    const epoch = directory.topology()?.epoch;
    const behind = new Set(directory.sources.lagging.map(({ kind, name }) => `${kind} ${name} ${epoch}`));
    for (const source of behind)
      if (!this.#behind.has(source)) troubles.note('source-behind', 'not given', 'list of nodes');
    this.#behind = behind;
  }

  /** Six mixes, and the wait for a slot on either way: one opening in a thousand takes longer. */
  #lawfulOpenMs(): number {
    const { endpoint } = this.mixnet;
    if (endpoint === undefined) return UNTROUBLED.lawfulOpenMs;
    const { mainRate, replyRate } = endpoint.trafficClass;
    return lawTimes(endpoint.longestLaw).quantileMs + SLOT_QUANTILE * (1000 / mainRate + 1000 / replyRate);
  }
}

/** What became of the stream on its way to a session. */
function sessionOf(stream: SessionStream | undefined): Pick<Situation, 'session' | 'waitedMs' | 'waitedForIdentity'> {
  if (!(stream instanceof HubStream)) return { session: 'none', waitedMs: 0, waitedForIdentity: false };
  const { session, waitedMs, waitedForIdentity } = stream;
  const state = session === undefined ? 'none' : session.state === 'closed' ? 'ended' : 'open';
  return { session: state, waitedMs, waitedForIdentity };
}

function departuresOf({ sentContent, sentIdle, discarded }: LaneStats): number {
  return sentContent + sentIdle + discarded;
}

function readingOf(session: ProxySession): TransferReading {
  return { ...session.stats(), replyRate: session.replyRate };
}

function inUse({ streamsOpen }: ProxySession): boolean {
  return streamsOpen > 0;
}

function sharing(sessions: readonly ProxySession[]): number {
  return sessions.filter(inUse).length;
}
