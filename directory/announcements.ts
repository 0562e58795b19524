/**
 * What an authority does with the announcement of a node: it judges, keeps and holds the descriptor.
 * @module
 */
import type { Clock } from '../lib/core/clock.ts';
import { asMixError } from '../lib/core/errors.ts';
import { type Descriptor, DocumentRefused, descriptorIn, type VerifiedDescriptor } from '../lib/directory/index.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Admission } from './admission.ts';
import type { Archive } from './archive.ts';
import type { Members } from './members/member-files.ts';

export interface AnnouncementsOptions {
  readonly admission: Admission;
  readonly members: Members;
  readonly archive: Archive;
  readonly clock: Clock;
  readonly log: Log;
}

/** A descriptor that is held, and whether it was not before. */
export interface Taken {
  readonly descriptor: Descriptor;
  readonly isNew: boolean;
}

export class Announcements {
  constructor(readonly options: AnnouncementsOptions) {}

  /**
   * Judges it when its turn has come, and holds it before the next one is judged: nothing that comes in between can refuse it once
   * it has used up a token, and the same one again finds the first. Rejects with DocumentRefused.
   */
  async take(text: string, proof: string | undefined): Promise<Taken> {
    const { admission, members, archive, log } = this.options;
    const accepted = await this.#accept(text, proof);
    if (accepted === undefined) return { descriptor: descriptorIn(text), isNew: false };
    const { descriptor } = accepted;
    const { identity, role, name } = descriptor;
    await members.save();
    admission.hold(accepted);
    log.debug({ identity, role, name }, 'descriptor accepted');
    await archive.saveDescriptor(identity, accepted.text);
    return { descriptor, isNew: true };
  }

  /** Takes back what was kept before a restart. */
  async restore(): Promise<void> {
    const { admission, archive, log } = this.options;
    for (const [identity, text] of await archive.descriptors()) {
      try {
        admission.restore(text);
      } catch (error) {
        const { message } = asMixError(error);
        log.warn({ identity, problem: message }, 'kept descriptor not used; its node may announce itself again');
        await archive.deleteDescriptor(identity);
      }
    }
  }

  /** The token that is not known may be one that was made a moment ago. */
  async #accept(text: string, proof: string | undefined): Promise<VerifiedDescriptor | undefined> {
    const { admission, members, clock } = this.options;
    try {
      return admission.accept(text, proof, clock.wallMs());
    } catch (error) {
      if (!(error instanceof DocumentRefused) || error.reason !== 'token-unknown' || proof === undefined) throw error;
      await members.findToken(proof);
      return admission.accept(text, proof, clock.wallMs());
    }
  }
}
