/**
 * Whom a private gateway lets in: clients that prove an access key which came by one of its invitations, or comes by one now. What it
 * learns of them is that key: it tells the links of one client together, whatever their identities.
 *
 * A use is on the disk before the client gets its answer. A client whose answer got lost comes again with the same key, and uses
 * nothing.
 * @module
 */
import { identityHexOf, toHex } from '../lib/core/bytes.ts';
import type { Clock } from '../lib/core/clock.ts';
import { asMixError } from '../lib/core/errors.ts';
import type { UnixMs } from '../lib/core/units.ts';
import type { Crypto } from '../lib/crypto/index.ts';
import {
  isExpired,
  isGranted,
  isRevoked,
  isUsedUp,
  type Token,
  TokenBook,
  TokenKeeper,
  type TokenKeyHex,
} from '../lib/directory/index.ts';
import type { AccessProof, AccessRefusal, AdmitVerdict } from '../lib/link/index.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { InvitationFiles, InvitationTerms, InvitationUse } from './invitation-files.ts';

/** After so many looks at the folder its files are read in any case: times of files have no end of precision. */
const MOST_LOOKS = 10;

export interface GuestListOptions {
  readonly files: InvitationFiles;
  readonly clock: Clock;
  readonly crypto: Pick<Crypto, 'ed25519Verify'>;
  readonly log: Log;
  /** Whether the network, or the gateway by its own configuration, lets in invited clients only. */
  readonly isPrivate: () => boolean;
  /** Somebody who was let in may have to go. */
  readonly onRevoked: () => void;
}

/** May stay; may come in once `enter` has counted it; or why not. */
export type GuestVerdict = 'known' | 'new' | AccessRefusal;

export class GuestList {
  readonly #book = new TokenBook<InvitationTerms, InvitationUse>();
  readonly #keeper: TokenKeeper<InvitationTerms, InvitationUse>;
  /** Those of open links need no second look at their signatures. */
  readonly #verified = new WeakSet<AccessProof>();
  #isChanged = false;
  /** When the folder was last changed, and how often that was looked at since it was read. */
  #changedMs = 0;
  #looks = 0;
  #isLooking = false;

  constructor(private readonly options: GuestListOptions) {
    const { log } = options;
    this.#keeper = new TokenKeeper({
      ...options,
      book: this.#book,
      apply: (tokens) => this.#book.update(tokens),
      onRevoked: () => {
        this.#isChanged = true;
        log.info({}, 'invitation revoked: who came by it is disconnected');
      },
      onSaved: () => log.debug({}, 'a client came by an invitation'),
    });
  }

  get isPrivate(): boolean {
    return this.options.isPrivate();
  }

  /** Reads the invitations. Rejects with CONFIG when a file is damaged. */
  open(): Promise<void> {
    return this.#keeper.open();
  }

  /** Time has been so far, by the consensus: an invitation that had expired by then is over, whatever the clock says. */
  noteTime(ms: UnixMs): void {
    this.#book.noteTime(ms);
  }

  /** What the operator has done takes effect, in an open network for the time when it is private. Call it about once a second. */
  async upkeep(): Promise<void> {
    this.#book.noteTime(this.options.clock.wallMs());
    if (this.#isLooking) return; // a slow disk
    this.#isLooking = true;
    await this.#look().finally(() => {
      this.#isLooking = false;
    });
  }

  async #look(): Promise<void> {
    const changedMs = await this.options.files.changedMs();
    this.#looks += 1;
    if (changedMs === this.#changedMs && this.#looks < MOST_LOOKS) return;
    this.#changedMs = changedMs;
    this.#looks = 0;
    await this.#keeper.reread(0);
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.options.onRevoked();
  }

  /**
   * Whether a client that is no exit may have a link, where `seat` says whether there is room: asked before a use is counted, and again once
   * that is on the disk.
   */
  admits(access: AccessProof | undefined, seat: () => AdmitVerdict): AdmitVerdict | Promise<AdmitVerdict> {
    const guest = this.judge(access);
    if (guest !== 'known' && guest !== 'new') return guest;
    const verdict = seat();
    if (verdict !== true || guest === 'known' || access === undefined) return verdict;
    return this.enter(access).then((isCounted) => isCounted && this.admits(access, seat));
  }

  /** At most two signatures are verified, and none where no invitation has the key that is named. */
  judge(access: AccessProof | undefined): GuestVerdict {
    if (!this.isPrivate) return 'known';
    if (access === undefined) return 'not-invited';
    const token = this.#book.find(keyOf(access));
    if (token === undefined) return 'invitation-unknown';
    if (!this.#isProven(access, token)) return 'not-invited';
    if (isRevoked(token.terms)) return 'invitation-revoked';
    if (token.uses.has(identityHexOf(access.accessKey))) return this.#book.isSaved(token.terms.key) ? 'known' : 'new';
    if (isExpired(token.terms, this.#book.latest(this.options.clock.wallMs()))) return 'invitation-expired';
    return isUsedUp(token) ? 'invitation-used-up' : 'new';
  }

  /** Counts one that `judge` calls new. Resolves with whether that is on the disk. */
  async enter(access: AccessProof): Promise<boolean> {
    const { clock, log } = this.options;
    const key = keyOf(access);
    const identity = identityHexOf(access.accessKey);
    const atMs = Math.floor(clock.wallMs()) as InvitationUse['atMs'];
    if (this.#book.find(key)?.uses.has(identity) === false) this.#book.use(key, { identity, atMs });
    try {
      await this.#keeper.save();
      return true;
    } catch (error) {
      log.error(
        { problem: asMixError(error).message },
        'a client is refused: its use of an invitation cannot be written',
      );
      return false;
    }
  }

  /** Of a client that came before, the grant was verified then. */
  #isProven(access: AccessProof, { uses }: Token): boolean {
    if (this.#verified.has(access)) return true;
    const { crypto } = this.options;
    const { accessKey, proven, proof } = access;
    const isProven =
      (uses.has(identityHexOf(accessKey)) || isGranted(access, crypto)) &&
      crypto.ed25519Verify(accessKey, proven, proof);
    if (isProven) this.#verified.add(access);
    return isProven;
  }
}

function keyOf({ invitation }: AccessProof): TokenKeyHex {
  return toHex(invitation) as TokenKeyHex;
}
