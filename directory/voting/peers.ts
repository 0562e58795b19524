/**
 * Asks the other authorities what they show of the voting, each by itself and again and again: a slow one delays nobody. The shell around
 * Voting.
 * @module
 */
import { sleep } from '../../lib/core/clock.ts';
import { asMixError, MixError } from '../../lib/core/errors.ts';
import { keyGraceMs } from '../../lib/core/params.ts';
import { authorityUrl, type HttpReply, sendWithin, type Transport } from '../../lib/directory/client/transport.ts';
import { MAX_CONSENSUS_BYTES, MAX_DESCRIPTOR_BYTES, MAX_DESCRIPTOR_LIST_BYTES } from '../../lib/directory/documents.ts';
import { envelopeBytes } from '../../lib/directory/envelope.ts';
import { type Authority, type NetworkFile, timing } from '../../lib/directory/index.ts';
import { TokenBucket } from '../../lib/mixing/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { pollMs } from './schedule.ts';
import { maxSheetBytes } from './sheet.ts';
import type { Want } from './sheet-reader.ts';
import { MAX_BALLOT_BYTES } from './vote.ts';
import type { Voting } from './voting.ts';

/** Lines about one authority: so many at once, and one in this time. One that changes its state with every answer is as quiet as any. */
const LINE_PERIOD_MS = 60_000;
const LINE_BURST = 4;
/** Clocks of authorities that differ by more are named in the log. */
const TOLERATED_SKEW_MS = 30_000;

/** Bytes of an answer. */
const MAX_BYTES: Readonly<Record<Want['kind'], number>> = {
  ballot: MAX_BALLOT_BYTES,
  descriptor: envelopeBytes(MAX_DESCRIPTOR_BYTES),
  descriptors: MAX_DESCRIPTOR_LIST_BYTES,
  document: MAX_CONSENSUS_BYTES,
  previous: envelopeBytes(MAX_CONSENSUS_BYTES),
};

export interface PeersOptions {
  readonly network: NetworkFile;
  /** The other authorities. */
  readonly others: readonly Authority[];
  readonly voting: Voting;
  readonly transport: Transport;
  readonly components: Pick<Components, 'clock' | 'log'>;
  /** Called when something has come. Must not reject. */
  readonly tick: () => Promise<void>;
}

/** What was said of an authority last: a problem, or none, and whether its clock is off. */
interface Said {
  problem: string;
  clockIsOff: boolean;
  readonly lines: TokenBucket;
}

export class Peers {
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];
  readonly #said = new Map<string, Said>();

  constructor(readonly options: PeersOptions) {
    this.#loops = options.others.map((other) => this.#ask(other));
  }

  /** Gives up what is under way; resolves when nothing is. */
  async stop(): Promise<void> {
    this.#stop.abort(new MixError('TIMEOUT', 'stopped'));
    await Promise.all(this.#loops);
    await this.options.transport.close();
  }

  async #ask(other: Authority): Promise<void> {
    const { voting, tick, components } = this.options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#askOnce(other);
        this.#note(other, '');
      } catch (error) {
        this.#note(other, asMixError(error).message);
      }
      if (this.#stop.signal.aborted) return;
      await tick();
      await sleep(components.clock, pollMs(voting.openSlot, voting.epochMs), this.#stop.signal);
    }
  }

  async #askOnce(other: Authority): Promise<void> {
    const { voting, network } = this.options;
    const path = `voting/${voting.watched}`;
    const reply = await this.#get(other, path, maxSheetBytes(network.authorities.length));
    this.#compareClocks(other, reply);
    if (reply.status === 404) return; // it has nothing of that epoch yet
    if (reply.status !== 200) throw new MixError('MALFORMED', `${other.url} answered ${reply.status}`);
    for (const want of voting.takeSheet(other.id, reply.text)) {
      const answer = await this.#get(other, pathOf(want), MAX_BYTES[want.kind]);
      if (answer.status === 200) voting.takeAnswer(want, answer.text);
    }
  }

  #get({ url }: Authority, path: string, maxBytes: number): Promise<HttpReply> {
    const { transport, components, voting } = this.options;
    const request = { method: 'GET', url: authorityUrl(url, path), maxBytes } as const;
    return sendWithin(
      transport,
      request,
      components.clock,
      timing.exchangeTimeoutMs(voting.epochMs),
      this.#stop.signal,
    );
  }

  #saidOf(id: string): Said {
    const nowMs = this.options.components.clock.nowMs();
    const lines = () => new TokenBucket(1000 / LINE_PERIOD_MS, LINE_BURST, nowMs);
    const said = this.#said.get(id) ?? { problem: '', clockIsOff: false, lines: lines() };
    this.#said.set(id, said);
    return said;
  }

  /** Says each problem once, and when it is over; a change that comes too soon after others is said later, if it lasts. */
  #note({ id, url }: Authority, problem: string): void {
    const { log, clock } = this.options.components;
    const said = this.#saidOf(id);
    if (this.#stop.signal.aborted || said.problem === problem || !said.lines.take(clock.nowMs())) return;
    said.problem = problem;
    if (problem === '') log.info({ authority: url }, 'the authority answers again');
    else log.warn({ authority: url, problem }, 'another authority does not answer as it should');
  }

  #compareClocks({ id, url }: Authority, { dateMs }: HttpReply): void {
    if (dateMs === undefined) return;
    const { clock, log } = this.options.components;
    const aheadMs = dateMs - clock.wallMs();
    const isOff = Math.abs(aheadMs) > Math.min(TOLERATED_SKEW_MS, keyGraceMs(this.options.voting.epochMs));
    const said = this.#saidOf(id);
    if (!isOff) said.clockIsOff = false;
    else if (!said.clockIsOff && said.lines.take(clock.nowMs())) {
      said.clockIsOff = true;
      const seconds = Math.round(Math.abs(aheadMs) / 1000);
      const way = aheadMs > 0 ? 'ahead of' : 'behind';
      log.error(
        { authority: url },
        `the clock of another authority is ${seconds} s ${way} ours: one of the two is wrong`,
      );
    }
  }
}

function pathOf({ kind, epoch, digest }: Want): string {
  if (kind === 'previous') return `consensus/${epoch}`;
  return kind === 'descriptors' ? 'descriptors' : `voting/${epoch}/${digest}`;
}
