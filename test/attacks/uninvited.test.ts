/**
 * A network is private. Somebody who was not invited wants in: without an invitation, with one that is over, with what he saw of
 * another's, or as a second device on a line that is good for one.
 */
import t, { type Test } from 'tap';
import { mergeBallots, quorumOf } from '../../directory/voting/merge.ts';
import type { Ballot } from '../../directory/voting/vote.ts';
import { GuestList, type GuestVerdict } from '../../gateway/guest-list.ts';
import { invitationFiles } from '../../gateway/invitation-files.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { laterMs } from '../../lib/core/units.ts';
import type { AccessProof, AdmitVerdict } from '../../lib/link/index.ts';
import { until } from '../support/link-fixtures.ts';
import { bytesOf, credential, crypto, type DoorParts, PrivateDoor } from '../support/private-door.ts';

/** A list of guests that takes no offence at one fault. */
function blindTo(fault: GuestVerdict): DoorParts['GuestList'] {
  return class extends GuestList {
    override judge(access: AccessProof | undefined): GuestVerdict {
      const verdict = super.judge(access);
      return verdict === fault ? 'known' : verdict;
    }
  };
}

/** Files on a disk that takes no uses while it is full. */
function fullDisk(isFull: () => boolean): DoorParts['files'] {
  return (dir) => {
    const real = invitationFiles(dir);
    const saveUses: typeof real.saveUses = (...args) =>
      isFull() ? Promise.reject(new Error('ENOSPC')) : invitationFiles(dir).saveUses(...args);
    return Object.assign(real, { saveUses });
  };
}

/** What becomes of a client, by the real list and by one that is blind to this fault. */
async function bothWays(t: Test, fault: GuestVerdict, attempt: (door: PrivateDoor) => Promise<string>): Promise<void> {
  t.equal(await attempt(await PrivateDoor.open(t)), fault);
  const mutant = await attempt(await PrivateDoor.open(t, { GuestList: blindTo(fault) }));
  t.equal(mutant, 'up', 'without the check it comes in: the same test rejects it');
}

t.test('a stranger without an invitation, or with one of his own making, stays outside', async (t) => {
  await bothWays(t, 'not-invited', (door) => door.dial());
  await bothWays(t, 'invitation-unknown', (door) => door.dial(credential('ab'.repeat(32), 1)));
});

t.test('an invitation that has expired, was revoked or is used up lets nobody in', async (t) => {
  await bothWays(t, 'invitation-expired', async (door) => {
    const token = await door.invite({ expiresMs: laterMs(door.clock.wallMs(), 1000) });
    door.clock.advance(1000);
    return door.dial(credential(token, 1));
  });
  await bothWays(t, 'invitation-revoked', async (door) => {
    const token = await door.invite();
    await door.revoke(token);
    return door.dial(credential(token, 1));
  });
  await bothWays(t, 'invitation-used-up', async (door) => {
    const token = await door.invite();
    t.equal(await door.dial(credential(token, 1)), 'up');
    t.equal(await door.dial(credential(token, 1)), 'up', 'the same device, under another identity, uses nothing');
    return door.dial(credential(token, 2));
  });
});

t.test('who is revoked in the middle of a handshake does not come in by it', async (t) => {
  const slowly = async (parts: Partial<DoorParts> = {}) => {
    const door = await PrivateDoor.open(t, parts);
    const token = await door.invite();
    t.equal(await door.dial(credential(token, 1)), 'up');
    door.shown.length = 0;
    return door.dialSlowly(credential(token, 1), () => door.revoke(token));
  };
  t.equal(await slowly(), 'closed');
  class Once extends GuestList {
    readonly #said = new WeakMap<AccessProof, AdmitVerdict>();
    override admits(access: AccessProof | undefined, seat: () => AdmitVerdict) {
      const verdict = (access && this.#said.get(access)) ?? super.admits(access, seat);
      if (access !== undefined && !(verdict instanceof Promise)) this.#said.set(access, verdict);
      return verdict;
    }
  }
  t.equal(await slowly({ GuestList: Once }), 'up', 'judged by the head of the hello alone, it does: rejected');
});

t.test('when a network becomes private, who was not invited goes; so does who cannot be written down', async (t) => {
  const becomes = async (files: DoorParts['files']) => {
    const door = await PrivateDoor.open(t, { files });
    door.isPrivate = false;
    const token = await door.invite(); // an operator prepares what is to come
    t.equal(await door.dial(), 'up');
    t.equal(await door.dial(credential(token, 1)), 'up');
    t.strictSame((await invitationFiles(door.dir).all())[0]?.uses.size, 0, 'in an open network nothing is counted');
    const ended: string[] = [];
    for (const [index, link] of door.listener.links.entries())
      link.onClose(() => ended.push(['stranger', 'guest'][index] ?? ''));
    door.isPrivate = true;
    door.listener.recheck();
    await until(() => ended.length > 0);
    return { door, ended };
  };
  const { door, ended } = await becomes(invitationFiles);
  await until(async () => (await invitationFiles(door.dir).all())[0]?.uses.size === 1);
  t.strictSame(ended, ['stranger']);
  const onFullDisk = await becomes(fullDisk(() => true));
  await until(() => onFullDisk.ended.length === 2);
});

t.test('who has used an invitation stays when it expires; a clock that is set back opens none again', async (t) => {
  const door = await PrivateDoor.open(t);
  const token = await door.invite({ uses: 2, expiresMs: laterMs(door.clock.wallMs(), 60_000) });
  t.equal(await door.dial(credential(token, 1)), 'up');
  door.clock.advance(60_000);
  await door.guests.upkeep();
  t.equal(await door.dial(credential(token, 2)), 'invitation-expired');
  door.clock.aheadMs = -50_000;
  t.equal(await door.dial(credential(token, 2)), 'invitation-expired', 'time has been that far');
  t.equal(await door.dial(credential(token, 1)), 'up');
});

t.test('after a restart the consensus says how late it is at least, whatever the clock says', async (t) => {
  const door = await PrivateDoor.open(t);
  const expiresMs = laterMs(door.clock.wallMs(), 60_000);
  const [before, after] = [await door.invite({ expiresMs }), await door.invite({ expiresMs })];
  t.equal(await door.dial(credential(before, 1)), 'up', 'by the clock alone, which is late: rejected below');
  door.guests.noteTime(expiresMs);
  t.equal(await door.dial(credential(after, 2)), 'invitation-expired');
  t.equal(await door.dial(credential(before, 1)), 'up');
});

t.test('what was shown on one link is good for no other', async (t) => {
  const replayed = async (parts: Partial<DoorParts> = {}) => {
    const door = await PrivateDoor.open(t, parts);
    const token = await door.invite();
    t.equal(await door.dial(credential(token, 1)), 'up');
    const [shown] = door.shown;
    return door.dialWith(bytesOf(shown as AccessProof));
  };
  t.equal(await replayed(), 'not-invited');
  const unbound = { ed25519Verify: () => true };
  t.equal(await replayed({ crypto: unbound }), 'up', 'were the link not part of it, it would be: rejected');
});

t.test('who knows the public keys alone cannot sign, neither as a known device nor as a new one', async (t) => {
  const door = await PrivateDoor.open(t);
  const token = await door.invite({ uses: 2 });
  const known = credential(token, 1);
  t.equal(await door.dial(known), 'up');
  const forged = credential('cd'.repeat(32), 9);
  t.equal(await door.dial({ ...forged, invitation: known.invitation, accessKey: known.accessKey }), 'not-invited');
  t.equal(await door.dial({ ...forged, invitation: known.invitation }), 'not-invited', 'a grant by another key');
  t.equal(await door.dial({ ...known, accessSeed: forged.accessSeed }), 'not-invited');
});

t.test(
  'a flood of bad proofs costs two signatures each at most, and none where no invitation has the key',
  async (t) => {
    let verified = 0;
    const counting = {
      ed25519Verify: (...args: Parameters<typeof crypto.ed25519Verify>) => {
        verified += 1;
        return crypto.ed25519Verify(...args);
      },
    };
    const door = await PrivateDoor.open(t, { crypto: counting });
    const token = await door.invite({ uses: 2 });
    for (let n = 0; n < 3; n++) await door.dial(credential('ef'.repeat(32), n));
    t.equal(verified, 0);
    const forged = credential('ef'.repeat(32), 9);
    await door.dial({ ...forged, invitation: credential(token, 1).invitation });
    t.equal(verified, 1, 'a false grant ends it');
    await door.dial(credential(token, 1));
    t.equal(verified, 3);
    door.listener.recheck();
    t.equal(verified, 3, 'open links are not verified again');
  },
);

t.test('two devices that come at the same time with a line for one: one comes in', async (t) => {
  const race = async (parts: Partial<DoorParts> = {}) => {
    const door = await PrivateDoor.open(t, parts);
    const token = await door.invite();
    const answers = await Promise.all([1, 2, 3].map((device) => door.dial(credential(token, device))));
    return answers.filter((answer) => answer === 'up').length;
  };
  t.equal(await race(), 1);
  let waiting: (() => void)[] = [];
  class Late extends GuestList {
    override async enter(access: AccessProof): Promise<boolean> {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length < 3) return;
        for (const go of waiting) go();
        waiting = [];
      });
      return super.enter(access);
    }
  }
  t.equal(await race({ GuestList: Late }), 3, 'counted only when all have been judged, all do: rejected');
});

t.test('a use outlives the process, and a device whose answer got lost comes in again', async (t) => {
  const afterCrash = async (parts: Partial<DoorParts> = {}) => {
    const door = await PrivateDoor.open(t, parts);
    const token = await door.invite();
    t.equal(await door.dial(credential(token, 1)), 'up');
    await door.restart();
    return [await door.dial(credential(token, 2)), await door.dial(credential(token, 1))];
  };
  t.strictSame(await afterCrash(), ['invitation-used-up', 'up']);
  const forgetful = (dir: string) => Object.assign(invitationFiles(dir), { saveUses: async () => {} });
  t.strictSame(
    await afterCrash({ files: forgetful }),
    ['up', 'invitation-used-up'],
    'kept in memory only, the line is good again: rejected',
  );
});

t.test('a use that cannot be written lets nobody in; once it can, it does', async (t) => {
  let isFull = true;
  const door = await PrivateDoor.open(t, { files: fullDisk(() => isFull) });
  const token = await door.invite();
  t.equal(await door.dial(credential(token, 1)), 'refused');
  t.equal(await door.dial(credential(token, 1)), 'refused', 'in memory is not enough');
  isFull = false;
  t.equal(await door.dial(credential(token, 1)), 'up');
  t.equal(await door.dial(credential(token, 2)), 'invitation-used-up');
});

t.test('one authority of four neither opens a private network nor closes an open one', async (t) => {
  const quorum = quorumOf({ authorities: Array.from({ length: 4 }), threshold: 3 } as Parameters<typeof quorumOf>[0]);
  const merged = (...clients: ('open' | 'invited')[]) => {
    const ballots = clients.map(
      (one): Ballot =>
        ({
          params: { ...DEFAULT_PARAMS, clients: one },
          nodes: [],
          previous: undefined,
        }) as unknown as Ballot,
    );
    return mergeBallots(ballots, quorum)?.params.clients;
  };
  t.equal(merged('invited', 'invited', 'invited', 'open'), 'invited');
  t.equal(merged('open', 'invited', 'invited'), 'invited', 'nor where one is down');
  t.equal(merged('open', 'open', 'open', 'invited'), 'open');
  t.equal(merged('open', 'open', 'invited', 'invited'), 'invited', 'where they are divided it stays closed');
});
