/**
 * Attack: whoever runs one exit closes the honest ones (he fills them, or floods them), so that their users come to him.
 *
 * Defence: a proxy draws a sample of three exits at its start, and goes over to another of them only. When all three refuse it waits for
 * an hour, then draws one more, and says so. What remains: an exit is in reach of 3/N of the users, and of 1/N more per hour.
 */
import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry } from '../../lib/directory/index.ts';
import { EXIT_SAMPLE_SIZE, ExitSample, WIDEN_AFTER_MS } from '../../lib/session/proxy/exit-sample.ts';
import { ExitSet, REST_MS } from '../../lib/session/proxy/exits.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

const USERS = 1_000;
const HONEST = 19;
const STEP_MS = 120_000;
const exit = (name: string) => ({ id: name as IdentityHex, name, role: 'requester' }) as NodeEntry;
const EVIL = exit('evil');
const ALL = [EVIL, ...Array.from({ length: HONEST }, (_, i) => exit(`honest-${i}`))];
const SHARE = 1 / ALL.length;
const tolerance = (share: number) => 4 * Math.sqrt((share * (1 - share)) / USERS);

class User {
  readonly warnings: string[] = [];
  readonly exits: ExitSet;
  nowMs = 0;

  constructor(seed: number, rng = seededRng(seed)) {
    this.exits = new ExitSet({
      rng,
      log: { warn: (_fields: unknown, text?: string) => this.warnings.push(text ?? '') } as never,
      nowMs: () => monotonic(this.nowMs),
      requesters: () => ALL,
      spread: 1,
    });
    this.exits.followList();
  }

  get current(): string {
    return this.exits.all[0]?.requester.id ?? '';
  }

  /** Time passes; an exit that refuses is found to do so, and one that does not has sessions. */
  pass(spanMs: number, refuses: (id: string) => boolean): this {
    for (const endMs = this.nowMs + spanMs; this.nowMs < endMs; this.nowMs += STEP_MS) {
      // Until one takes the session, or all that there are have refused it.
      for (let i = 0; i < 8; i++) {
        for (const { requester } of this.exits.all) {
          if (refuses(requester.id)) this.exits.failed(requester);
          else this.exits.worked(requester);
        }
        if (this.exits.followList().length === 0) break;
      }
    }
    return this;
  }
}

const shareOf = (users: readonly User[]) => users.filter(({ current }) => current === EVIL.id).length / users.length;
const closed = (id: string) => id !== EVIL.id;
const open = () => false;

t.test('at rest the evil exit has its uniform share of the users', async (t) => {
  const users = Array.from({ length: USERS }, (_, i) => new User(i + 1).pass(STEP_MS, open));
  t.ok(Math.abs(shareOf(users) - SHARE) <= tolerance(SHARE), `${(100 * shareOf(users)).toFixed(2)} %`);
});

t.test('with all honest exits closed it reaches those who have it in their sample, and nobody else', async (t) => {
  const users = Array.from({ length: USERS }, (_, i) => new User(i + 1).pass(WIDEN_AFTER_MS - 2 * STEP_MS, closed));
  const isBounded = (share: number) => share <= EXIT_SAMPLE_SIZE * SHARE + tolerance(EXIT_SAMPLE_SIZE * SHARE);
  const share = shareOf(users);
  t.ok(isBounded(share), `${(100 * share).toFixed(1)} % after an hour, 3/N is ${(300 * SHARE).toFixed(1)} %`);
  t.strictSame(
    users.flatMap(({ warnings }) => warnings),
    [],
    'nobody draws another exit within the hour',
  );
  // Mutant: what refuses is replaced by any exit of the list.
  let atEvil = 0;
  for (let i = 0; i < USERS; i++) {
    const rng = seededRng(i + 1);
    let current = ALL[rng.int(ALL.length)] as NodeEntry;
    for (let tries = 0; tries < 3600 && closed(current.id); tries++) current = ALL[rng.int(ALL.length)] as NodeEntry;
    if (current === EVIL) atEvil += 1;
  }
  t.notOk(isBounded(atEvil / USERS), `the mutant is rejected: ${(100 * atEvil) / USERS} %`);
});

t.test('then the sample grows by one an hour, and the log says so', async (t) => {
  const hours = 3;
  const users = Array.from({ length: USERS / 10 }, (_, i) =>
    new User(i + 1).pass(hours * WIDEN_AFTER_MS + 3 * STEP_MS, closed),
  );
  const waiting = users.filter(({ current }) => current !== EVIL.id);
  for (const { warnings } of waiting) if (warnings.length !== hours) t.fail(`${warnings.length} warnings`);
  t.match(waiting[0]?.warnings[0], /no requester of the sample has had a session for an hour/);
  const bound = (EXIT_SAMPLE_SIZE + hours) * SHARE;
  t.ok(shareOf(users) <= bound + 4 * Math.sqrt(bound / users.length), `${(100 * shareOf(users)).toFixed(1)} %`);
});

t.test('an exit that refuses for a while is left for another of the sample, and may come back', async (t) => {
  const user = new User(3).pass(STEP_MS, open);
  const first = user.current;
  user.pass(STEP_MS, (id) => id === first);
  const second = user.current;
  t.not(second, first);
  user.pass(10 * REST_MS, open);
  t.equal(user.current, second, 'it stays where it works');
  const sample = new Set([first, second]);
  for (let i = 0; i < 50; i++) {
    const present = user.current;
    user.pass(STEP_MS, (id) => id === present).pass(2 * REST_MS, open);
    sample.add(user.current);
  }
  t.equal(sample.size, EXIT_SAMPLE_SIZE, 'and never goes beyond three');
  t.strictSame(user.warnings, []);
});

t.test('one of three that works keeps the sample as it is', async (t) => {
  const sample = new ExitSample(seededRng(1));
  const members = sample.of(ALL);
  const works = members[0]?.id;
  for (let ms = 0; ms < 10 * WIDEN_AFTER_MS; ms += STEP_MS) {
    if (sample.review(ALL, (id) => id !== works, monotonic(ms))) t.fail('it has grown');
  }
  t.strictSame(sample.of(ALL), members);
  t.equal(sample.of(ALL.filter(({ id }) => id !== works)).length, EXIT_SAMPLE_SIZE, 'one that is unlisted is replaced');
});
