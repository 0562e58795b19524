/**
 * Somebody has a join token for one node, or has recorded one on its way, or had one that was revoked. He wants more nodes in the
 * network than he was granted: many nodes of his are many chances to be a user's guard, exit and mixes.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Admission } from '../../directory/admission.ts';
import { Archive } from '../../directory/archive.ts';
import { type JoinTerms, type JoinUse, Members } from '../../directory/members/member-files.ts';
import { type Claim, Membership } from '../../directory/members/membership.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { laterMs } from '../../lib/core/units.ts';
import {
  type Descriptor,
  type DocumentRefused,
  joinKeyOf,
  joinProof,
  REREAD_FOR_UNKNOWN_MS,
  REREAD_MS,
  TokenBook,
  tokenIdOf,
  type VerifiedDescriptor,
} from '../../lib/directory/index.ts';
import { joinTokenOf, termsOf } from '../support/admission.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { countersigned, crypto } from '../support/signed-documents.ts';
import {
  EPOCH_MS,
  GATEWAYS,
  idOf,
  type Parts,
  TOKEN,
  TokenNetwork,
  UnorderedAuthority,
  withToken,
} from '../support/token-network.ts';
import { epochNumber, unix } from '../support/units.ts';

/** Nodes of the attacker. */
const EVIL = [101, 102, 103] as const;

/** How many of the attacker's nodes one token lists. */
async function listedByOneToken(t: Test, parts: Partial<Parts> = {}): Promise<number> {
  const world = await withToken(t, parts);
  const listed = await world.turn(async () => {
    for (const n of EVIL) await world.announce(n, 'gateway', TOKEN);
  });
  return EVIL.filter((n) => listed.has(idOf(n))).length;
}

t.test('one token does not list a second node', async (t) => {
  t.equal(await listedByOneToken(t), 1);
  class Uncounted extends Membership {
    override claim = (): Claim => ({ enter: () => {} });
    override refusalOf = () => undefined;
  }
  t.equal(
    await listedByOneToken(t, { Membership: Uncounted }),
    3,
    'without the count all are: the same test rejects it',
  );
});

t.test(
  'a node keeps its place under other names and roles and without the token; another key is another node',
  async (t) => {
    const world = await withToken(t);
    t.equal(await world.announce(101, 'requester', TOKEN), 'accepted', 'one use, whatever gateways it names');
    world.clock.advance(1);
    t.equal(await world.announce(101, 'requester', TOKEN, { name: 'another' }), 'accepted', 'a second name');
    world.clock.advance(1);
    t.equal(await world.announce(101, 'gateway', TOKEN), 'accepted', 'another role of the token');
    world.clock.advance(1);
    t.equal(await world.announce(101, 'gateway'), 'accepted', 'and without the token');
    t.equal(await world.announce(102, 'gateway', TOKEN), 'token-used', 'another key');
    t.equal(
      await world.announce(102, 'gateway', TOKEN, { name: 'another' }),
      'token-used',
      'under the name of the first',
    );
    t.equal(await world.announce(102, 'gateway'), 'not-a-member');
    const [token] = world.admission.options.membership.book.tokens;
    t.same([...(token?.uses.keys() ?? [])], [idOf(101)]);
  },
);

t.test('a token opens the roles that it names and no other', async (t) => {
  const world = await withToken(t, {}, { roles: ['mixnode'] });
  t.equal(await world.announce(102, 'gateway', TOKEN), 'token-role');
  t.equal(await world.announce(101, 'mixnode', TOKEN), 'accepted', 'what was refused has used nothing');
  world.clock.advance(1);
  t.equal(await world.announce(101, 'gateway', TOKEN), 'token-role', 'nor once it is in');
  t.equal(await world.announce(101, 'requester'), 'token-role');
  const other = joinTokenOf(2);
  await world.grant(other, { roles: ['gateway'] });
  t.equal(await world.announce(101, 'gateway', other), 'accepted', 'a token for that role does');
});

/** The outcomes of two nodes that come with one token at the same time. */
async function race(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await withToken(t, parts);
  return Promise.all([world.announce(101, 'gateway', TOKEN), world.announce(102, 'gateway', TOKEN)]);
}

t.test('two nodes that try a token at the same time: one comes in', async (t) => {
  t.same(await race(t), ['accepted', 'token-used']);
  const late: (() => void)[] = [];
  class LateMembership extends Membership {
    override claim(...args: Parameters<Membership['claim']>): Claim {
      const claim = super.claim(...args);
      return { enter: () => void late.push(claim.enter) };
    }
  }
  class LateMembers extends Members {
    override async save(): Promise<void> {
      for (const enter of late.splice(0)) enter();
      await super.save();
    }
  }
  const parts = { Membership: LateMembership, Members: LateMembers, Authority: UnorderedAuthority };
  t.same(await race(t, parts), ['accepted', 'accepted'], 'counted on the disk only, both do: the same test rejects it');
});

/** What becomes of another node, and of the one that has used the token, after the authority was killed. */
async function afterRestart(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await withToken(t, parts);
  await world.announce(101, 'gateway', TOKEN);
  await world.restart();
  world.clock.advance(1);
  return [await world.announce(102, 'gateway', TOKEN), await world.announce(101, 'gateway', TOKEN)];
}

t.test('a used token is used after a restart', async (t) => {
  t.same(await afterRestart(t), ['token-used', 'accepted']);
  class Forgetful extends Members {
    override save = async () => {};
  }
  const mutant = await afterRestart(t, { Members: Forgetful });
  t.same(mutant, ['accepted', 'token-used'], 'kept in memory only, it is good again: rejected');
});

t.test('a crash in the middle neither loses the use nor the node', async (t) => {
  class Crashing extends Archive {
    override saveDescriptor = () => Promise.reject(new Error('killed'));
  }
  const world = await withToken(t, { Archive: Crashing });
  await t.rejects(world.announce(101, 'gateway', TOKEN), /killed/, 'the use is on the disk, the descriptor is not');
  const id = tokenIdOf(joinKeyOf(TOKEN, crypto));
  await writeFile(join(world.dir, 'tokens', `${id}.uses.json.0.draft`), '{"vers');
  await world.restart({ Archive });
  t.equal(await world.announce(102, 'gateway', TOKEN), 'token-used');
  t.equal(await world.announce(101, 'gateway', TOKEN), 'accepted');
  t.notOk((await readdir(join(world.dir, 'tokens'))).some((name) => name.endsWith('.draft')));
});

/** What becomes of an expired token when the clock of the authority is set back behind its date. */
async function clockSetBack(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await TokenNetwork.start(t, parts);
  const expiresMs = laterMs(world.clock.wallMs(), 2 * EPOCH_MS);
  await world.grant(TOKEN, { uses: 3, expiresMs });
  const outcomes: string[] = [];
  await world.turn(async () => outcomes.push(await world.announce(101, 'gateway', TOKEN)));
  for (let n = 0; n < 2; n++) await world.turn(() => world.announce(101, 'gateway'));
  outcomes.push(await world.announce(102, 'gateway', TOKEN));
  world.clock.aheadMs = -2 * EPOCH_MS;
  outcomes.push(await world.announce(102, 'gateway', TOKEN));
  await world.restart();
  outcomes.push(await world.announce(102, 'gateway', TOKEN));
  return outcomes;
}

t.test('an expired token stays so when the clock is set back, and who came by it stays', async (t) => {
  t.same(await clockSetBack(t), ['accepted', 'token-expired', 'token-expired', 'token-expired']);
  class Credulous extends Membership {
    override readonly book = Object.assign(new TokenBook<JoinTerms, JoinUse>(), { noteTime: () => {} });
  }
  const mutant = await clockSetBack(t, { Membership: Credulous });
  t.same(
    mutant,
    ['accepted', 'token-expired', 'accepted', 'accepted'],
    'by the clock alone it is good again: rejected',
  );
});

/** What an ear on the line gets out of all that a node has sent, for a node of its own. */
async function replays(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await withToken(t, parts, { uses: 3 });
  const recorded = world.sent(101, 'gateway', TOKEN);
  await world.give(recorded);
  const own = world.sent(102, 'gateway');
  const unused = world.sent(103, 'gateway', joinTokenOf(9));
  return [
    await world.give({ text: own.text, proof: recorded.proof }),
    await world.give({ text: own.text, proof: `${recorded.proof?.slice(0, 64)}${unused.proof?.slice(64)}` }),
    await world.give({ text: own.text, proof: TOKEN }),
  ];
}

t.test('who records a proof cannot use the token: neither for another node nor with another signature', async (t) => {
  const none = ['token-unknown', 'token-unknown', 'token-unknown'];
  t.same(await replays(t), none);
  class ByKeyAlone extends Membership {
    constructor(rules: Membership['rules']) {
      super(rules, { ed25519Verify: () => true });
    }
  }
  const mutant = await replays(t, { Membership: ByKeyAlone });
  t.same(
    mutant,
    ['accepted', 'accepted', 'accepted'],
    'with the key alone he can, and is a member from then on: rejected',
  );
});

t.test('who reads the folder of the authority cannot use its tokens', async (t) => {
  const world = await withToken(t);
  await world.announce(101, 'gateway', TOKEN);
  const names = await readdir(join(world.dir, 'tokens'));
  t.equal(names.length, 2);
  for (const name of names) {
    const text = await readFile(join(world.dir, 'tokens', name), 'utf8');
    t.notOk(text.includes(TOKEN));
    for (const [digits] of text.matchAll(/[0-9a-f]{64}/g))
      t.equal(await world.announce(102, 'gateway', digits), 'token-unknown', digits);
  }
});

t.test(
  '10,000 guesses: none comes in, none is worth a signature check, and the token is as good as before',
  async (t) => {
    let checks = 0;
    const counting = {
      ed25519Verify: (...args: Parameters<typeof crypto.ed25519Verify>) => {
        checks += 1;
        return crypto.ed25519Verify(...args);
      },
    };
    const membership = new Membership({ allow: new Set(), openToAll: false }, counting);
    membership.update({ tokens: [{ terms: termsOf(TOKEN), uses: new Map() }], expelled: new Set() });
    const world = await TokenNetwork.start(t);
    const verified = (n: number): VerifiedDescriptor => world.verifier.descriptor(world.sent(n, 'gateway').text);
    const [evil, honest] = [verified(101), verified(1)];
    const rng = seededRng(1);
    const refused = new Set<string>();
    for (let n = 0; n < 10_000; n++) {
      try {
        membership.claim(evil, toHex(rng.bytes(96)), unix(0));
        t.fail('a guess was right');
      } catch (error) {
        refused.add((error as DocumentRefused).reason);
      }
    }
    t.same([...refused], ['token-unknown'], 'and nothing tells one guess from another');
    t.equal(checks, 0);
    membership.claim(honest, joinProof(TOKEN, honest.payload, crypto), unix(0)).enter();
    t.ok(membership.isKnown(idOf(1)));
  },
);

/** A gateway and its requester leave with their token; who is listed in the two consensuses after. */
async function revocation(t: Test, parts: Partial<Parts> = {}) {
  const world = await withToken(t, parts);
  const honest = joinTokenOf(2);
  await world.grant(honest, { uses: 2 });
  const words = (n: number, ...by: number[]) => ({
    gateways: by.map((gateway) => countersigned(world.verifier.network, n, gateway, world.clock.wallMs())),
  });
  let sent = world.sent(101, 'gateway', TOKEN);
  const announce = async () => {
    sent = world.sent(101, 'gateway', TOKEN);
    await world.give(sent);
    await world.announce(1, 'requester', honest, words(1, 101, GATEWAYS[0]));
    await world.announce(2, 'requester', honest, words(2, 101));
  };
  const before = await world.turn(announce);
  const terms = (await world.operator.terms(tokenIdOf(joinKeyOf(TOKEN, crypto)))) ?? termsOf(TOKEN);
  const late = await world.turn(async () => {
    await announce();
    await world.operator.change({ ...terms, revokedMs: world.clock.wallMs() });
  });
  const replayed = await world.give(sent);
  const nodes = world.authority.consensus(world.epoch)?.consensus.nodes ?? [];
  return { world, before, late, replayed, nodes, announce };
}

t.test(
  'with a revoked token its nodes leave at the next consensus, and what they have signed counts no more',
  async (t) => {
    const { world, before, late, replayed, nodes, announce } = await revocation(t);
    t.notOk((await readdir(join(world.dir, 'descriptors'))).includes(`${idOf(101)}.json`), 'nothing of it is kept');
    t.same(
      [101, 1, 2].map((n) => before.has(idOf(n))),
      [true, true, true],
    );
    t.same(
      [101, 1, 2].map((n) => late.has(idOf(n))),
      [false, true, false],
      'the requester that had no other gateway too',
    );
    const requester = nodes.find(({ identity }) => identity === idOf(1)) as Descriptor & { gateways: unknown };
    t.same(requester.gateways, [idOf(GATEWAYS[0])], 'the countersignature of a gateway that has left is worth nothing');
    t.equal(replayed, 'token-revoked', 'nor is its own descriptor, replayed');
    t.equal(await world.announce(101, 'gateway', TOKEN), 'token-revoked');
    t.equal(await world.announce(102, 'gateway', TOKEN), 'token-revoked', 'nor the token for another node');
    await world.restart();
    const after = await world.turn(announce);
    t.same(
      [101, 1].map((n) => after.has(idOf(n))),
      [false, true],
      'and after a restart',
    );

    class Lenient extends Admission {
      override dismiss = () => [];
    }
    const mutant = await revocation(t, { Admission: Lenient });
    t.ok(
      mutant.late.has(idOf(101)),
      'if only its next announcement were refused, it would be listed once more: rejected',
    );
  },
);

t.test('a node that is revoked while its announcement waits for the disk is not taken', async (t) => {
  const world = await withToken(t);
  const { membership } = world.admission.options;
  const { text, proof } = world.sent(101, 'gateway', TOKEN);
  const accepted = world.admission.accept(text, proof, world.clock.wallMs());
  const terms = termsOf(TOKEN, { revokedMs: world.clock.wallMs() });
  membership.update({ tokens: [{ terms, uses: new Map() }], expelled: new Set() });
  t.throws(() => world.admission.hold(accepted as VerifiedDescriptor), /was revoked/);
});

/** What becomes of the token's next node when its first is expelled while its announcement waits for its turn. */
async function expelledMeanwhile(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await withToken(t, parts);
  await world.operator.expel(idOf(101));
  world.clock.advance(REREAD_MS);
  const noticing = world.authority.tick();
  const outcome = await world.announce(101, 'gateway', TOKEN);
  await noticing;
  return [outcome, await world.announce(102, 'gateway', TOKEN)];
}

t.test('what is refused after all has used nothing', async (t) => {
  t.same(await expelledMeanwhile(t), ['expelled', 'accepted']);
  const mutant = await expelledMeanwhile(t, { Authority: UnorderedAuthority });
  t.same(mutant, ['expelled', 'token-used'], 'judged before its turn, it has: rejected');
});

t.test('nobody waits for nodes that were let go: the next consensus is signed as early as ever', async (t) => {
  const world = await withToken(t);
  await world.turn(() => world.announce(101, 'gateway', TOKEN));
  await world.operator.expel(idOf(101));
  world.beforeTurn(0.45);
  await world.announceAllowed();
  t.ok(world.authority.consensus(epochNumber(world.epoch + 1)));
});

t.test('a node comes in at once by a token that was made a moment ago', async (t) => {
  const world = await withToken(t);
  const other = joinTokenOf(2);
  await world.operator.create(termsOf(other));
  world.clock.advance(REREAD_FOR_UNKNOWN_MS);
  t.equal(await world.announce(101, 'gateway', other), 'accepted');
});

t.test('a node that was expelled comes back by no token, until it is let in again', async (t) => {
  const world = await withToken(t, {}, { uses: 2 });
  await world.turn(() => world.announce(101, 'gateway', TOKEN));
  await world.operator.expel(idOf(101));
  const listed = await world.turn(() => world.announce(101, 'gateway', TOKEN));
  t.notOk(listed.has(idOf(101)));
  const other = joinTokenOf(2);
  await world.grant(other);
  t.equal(await world.announce(101, 'gateway', other), 'expelled');
  t.equal(await world.announce(102, 'gateway', other), 'accepted', 'and that has used nothing');
  await world.operator.expel(idOf(GATEWAYS[0]));
  await world.noticed();
  t.equal(await world.announce(GATEWAYS[0], 'gateway'), 'expelled', 'not even one of the allow list');
  await world.operator.takeBack(idOf(101));
  await world.noticed();
  t.equal(await world.announce(101, 'gateway', TOKEN), 'accepted');
});
