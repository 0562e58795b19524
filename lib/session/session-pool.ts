/**
 * Which sessions the proxy has, and whose they are.
 *
 * Each place (places.ts) has at least one session at any time; one that nobody has used yet is given to the first
 * isolation token that is drawn to the place, and then belongs to it for good. A session is never used by two tokens.
 * @module
 */
import type { NodeEntry } from '../directory/index.ts';
import { MixError } from '../errors.ts';
import { pick } from '../rng.ts';
import { type Place, Places, type PlacesOptions } from './places.ts';
import type { ProxySession } from './proxy-session.ts';
import { shareRate } from './rate-shares.ts';
import type { CloseReason } from './types.ts';

export interface SessionPoolOptions extends PlacesOptions {
  readonly nowMs: () => number;
  readonly rates: () => { readonly mainRate: number; readonly replyRate: number };
  /** Makes a session; the pool must hear of its end through `ended`. */
  readonly makeSession: (nowMs: number) => ProxySession;
}

/** A session that runs. */
export interface Live {
  readonly session: ProxySession;
  /** Whose share of the clocks it uses: the place of its requester, as long as that is listed. */
  place: Place;
  readonly requester: NodeEntry;
  readonly bornMs: number;
  /** Nobody's yet, somebody's, or nobody's any more. */
  use: 'spare' | 'taken' | 'retired';
  /** When a stream was last opened on it. */
  usedMs: number;
  /** How often in a row `listen` has found it overdue. */
  unheard: number;
}

interface TokenEntry {
  place: Place;
  live: Live | undefined;
  usedMs: number;
}

/** New streams open on a new session after this time; an old one lives until its streams end. */
export const SESSION_ROTATION_MS = 600_000;
/** Isolation tokens with a session at a time. */
export const MAX_TOKENS = 64;
/** A token without a stream for this long is forgotten, and its session closed. */
export const TOKEN_IDLE_MS = 180_000;
/** Sessions of one proxy at a time, those included that only wait for their last streams; at the bound rotation waits. */
export const MAX_PROXY_SESSIONS = MAX_TOKENS + 32;
/** A session that closed at once is not started anew before this time: a requester that refuses is not hammered. */
const RESTART_DELAY_MS = 1_000;
/** Between a token and the requester that it uses for some ports only. */
const KEY_SEPARATOR = '\0at\0';
/** A session that `listen` has found overdue this often in a row, over a link that is up, is deaf. */
export const DEAF_AFTER = 5;
/** A session keeps its share of the replies this long after the last stream was opened. */
const BUSY_MS = 10_000;

export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #places: Places;
  #lives: Live[] = [];
  /** The one not used for longest first. */
  readonly #tokens = new Map<string, TokenEntry>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#places = new Places(options);
  }

  get lives(): readonly Live[] {
    return this.#lives;
  }

  get places(): readonly Place[] {
    return this.#places.all;
  }

  /** A place by the law: whatever there is to send. */
  draw(): Place | undefined {
    return this.#places.draw();
  }

  /** Whether `place` has a session that a stream may open on. */
  serves(place: Place): boolean {
    return this.#lives.some((live) => live.place === place && live.use !== 'retired');
  }

  /**
   * The session for streams of `token` to `port` (undefined: no port in particular), which then counts as used; undefined
   * when none can be had for the moment. Throws LIMIT when as many tokens have streams as may have sessions.
   */
  sessionFor(token: string, port?: number): Live | undefined {
    const nowMs = this.#options.nowMs();
    const places = port === undefined ? this.places : this.#places.suitingFor(port);
    this.#fillPlaces();
    const { key, place } = this.#whereFor(token, this.#heard(places));
    const entry = this.#tokens.get(key) ?? this.#admit(place);
    if (entry === undefined) return undefined;
    this.#tokens.delete(key);
    this.#tokens.set(key, entry);
    entry.usedMs = nowMs;
    const live = entry.live ?? this.#spareAt(entry.place) ?? this.#start(entry.place);
    if (live === undefined) return undefined;
    entry.live = live;
    live.use = 'taken';
    live.usedMs = nowMs;
    this.shareRates();
    return live;
  }

  /** False when `requester` does not let `port` through, and another one of those listed does. */
  suits(requester: NodeEntry, port: number): boolean {
    return this.#places.suits(requester, port);
  }

  /** Follows the list of requesters, turns old sessions over, forgets idle tokens. */
  housekeep(): void {
    const nowMs = this.#options.nowMs();
    this.#leave(this.#places.followList());
    for (const [token, entry] of [...this.#tokens]) {
      if (nowMs - entry.usedMs >= TOKEN_IDLE_MS && this.#dispensable(entry)) this.#forget(token, entry);
      else if (this.#isOld(entry.live, nowMs)) this.#turnOver(entry);
    }
    for (const live of this.#lives) if (live.use === 'spare' && this.#isOld(live, nowMs)) this.#retire(live);
    this.#fillPlaces();
    this.shareRates();
  }

  /**
   * Call about once a second: notes which sessions hear nothing though the link is up. Their requesters are gone, or the way
   * to them is. Returns those that have become deaf.
   */
  listen(linkIsUp: boolean): readonly Live[] {
    for (const live of this.#lives) live.unheard = linkIsUp && live.session.overdueMs > 0 ? live.unheard + 1 : 0;
    return this.#lives.filter(({ unheard }) => unheard === DEAF_AFTER);
  }

  /** Until the first reply, which needs no `listen` to be believed. */
  isDeaf({ unheard, session }: Live): boolean {
    return unheard >= DEAF_AFTER && session.overdueMs > 0;
  }

  /** A session is over. */
  ended(session: ProxySession, reason: CloseReason): void {
    const live = this.#lives.find((one) => one.session === session);
    if (live === undefined) return;
    const nowMs = this.#options.nowMs();
    this.#lives = this.#lives.filter((other) => other !== live);
    const atOnce = reason !== 'done' && nowMs - live.bornMs < RESTART_DELAY_MS;
    if (atOnce) live.place.notBeforeMs = nowMs + RESTART_DELAY_MS;
    for (const entry of this.#tokens.values()) if (entry.live === live) entry.live = undefined;
    this.#fillPlaces();
    this.shareRates();
  }

  /** Every place has the same share of each clock; its sessions divide it. */
  shareRates(): void {
    const nowMs = this.#options.nowMs();
    const { mainRate, replyRate } = this.#options.rates();
    for (const place of this.places) {
      const lives = this.#lives.filter((live) => live.place === place);
      const busy = this.#busy(lives, nowMs);
      const shares = shareRate(replyRate / this.places.length, busy);
      const busyCount = busy.filter((one) => one).length;
      for (const [i, { session }] of lives.entries()) {
        session.setReplyRate(shares[i] ?? 0, nowMs);
        // The main clock is shared packet by packet: this is only what a session may expect of it.
        session.setMainRate(mainRate / this.places.length / (busyCount + (busy[i] ? 0 : 1)));
      }
    }
  }

  /** While none is, the session used last stands for them: it is the likeliest, and rates do not change for nothing. */
  #busy(lives: readonly Live[], nowMs: number): boolean[] {
    const busy = lives.map(
      ({ session, use, usedMs }) => session.stats().streamsOpen > 0 || (use !== 'retired' && nowMs - usedMs < BUSY_MS),
    );
    if (busy.includes(true)) return busy;
    const usable = lives.filter(({ use }) => use !== 'retired');
    const lastMs = Math.max(...usable.map(({ usedMs }) => usedMs));
    return lives.map(({ use, usedMs }) => use !== 'retired' && usedMs === lastMs);
  }

  /** The entry for `token`, and its place should it be new. One whose usual place is not among `places` has another. */
  #whereFor(token: string, places: readonly Place[]): { key: string; place: Place | undefined } {
    const usual = this.#tokens.get(token)?.place;
    if (usual !== undefined && places.includes(usual)) return { key: token, place: usual };
    const keyAt = (place: Place) => `${token}${KEY_SEPARATOR}${place.requester.id}`;
    const place = places.find((one) => this.#tokens.has(keyAt(one))) ?? pick(this.#options.rng, places);
    return { key: usual === undefined || place === undefined ? token : keyAt(place), place };
  }

  /** Those of `places` whose sessions hear something; all when none does. */
  #heard(places: readonly Place[]): readonly Place[] {
    const heard = places.filter((place) => {
      const lives = this.#lives.filter((live) => live.place === place && live.use !== 'retired');
      return lives.length === 0 || lives.some((live) => !this.isDeaf(live));
    });
    return heard.length > 0 ? heard : places;
  }

  /** Room for one more token: the one idle for longest makes it. Undefined when there is no place at all. */
  #admit(place: Place | undefined): TokenEntry | undefined {
    if (place === undefined) return undefined;
    if (this.#tokens.size >= MAX_TOKENS) {
      const idle = [...this.#tokens].find(([, entry]) => !this.#hasStreams(entry));
      if (idle === undefined) throw new MixError('LIMIT', `${MAX_TOKENS} isolated programs have streams open`);
      this.#forget(...idle);
    }
    return { place, live: undefined, usedMs: this.#options.nowMs() };
  }

  #forget(token: string, { live }: TokenEntry): void {
    this.#tokens.delete(token);
    if (live !== undefined) this.#retire(live);
  }

  /** Without streams, and its place has another session: one that ends when another begins tells whose both are. */
  #dispensable(entry: TokenEntry): boolean {
    const { live } = entry;
    const others = this.#lives.some((one) => one.place === entry.place && one.use !== 'retired' && one !== live);
    return live === undefined || (others && !this.#hasStreams(entry));
  }

  #hasStreams({ live }: TokenEntry): boolean {
    return (live?.session.stats().streamsOpen ?? 0) > 0;
  }

  #isOld(live: Live | undefined, nowMs: number): boolean {
    return live !== undefined && nowMs - live.bornMs >= SESSION_ROTATION_MS;
  }

  /** What has no streams is not replaced before it is needed. */
  #turnOver(entry: TokenEntry): void {
    const old = entry.live;
    if (old === undefined) return;
    const next = this.#hasStreams(entry) ? this.#start(entry.place) : undefined;
    if (next === undefined && this.#hasStreams(entry)) return; // no room now
    if (next !== undefined) next.use = 'taken';
    entry.live = next;
    this.#retire(old);
  }

  #spareAt(place: Place): Live | undefined {
    return this.#lives.find((live) => live.place === place && live.use === 'spare');
  }

  #retire(live: Live): void {
    live.use = 'retired';
    // Its place must not be without a session while this one says goodbye.
    this.#fillPlaces();
    live.session.drain(this.#options.nowMs());
  }

  /** These places are no more: tokens and sessions that had one get another. */
  #leave(left: readonly Place[]): void {
    if (left.length === 0) return;
    for (const [token, entry] of [...this.#tokens]) {
      if (!left.includes(entry.place)) continue;
      if (token.includes(KEY_SEPARATOR)) this.#tokens.delete(token);
      entry.place = this.draw() ?? entry.place;
      entry.live = undefined;
    }
    for (const live of [...this.#lives]) {
      if (!left.includes(live.place)) continue;
      live.place = this.draw() ?? live.place;
      if (live.use !== 'retired') this.#retire(live);
    }
  }

  #fillPlaces(): void {
    for (const place of this.places) if (!this.serves(place)) this.#start(place);
  }

  #start(place: Place): Live | undefined {
    const nowMs = this.#options.nowMs();
    if (this.#lives.length >= MAX_PROXY_SESSIONS || nowMs < place.notBeforeMs) return undefined;
    const session = this.#options.makeSession(nowMs);
    const live: Live = {
      session,
      place,
      requester: place.requester,
      bornMs: nowMs,
      use: 'spare',
      usedMs: Number.NEGATIVE_INFINITY,
      unheard: 0,
    };
    this.#lives.push(live);
    return live;
  }
}
