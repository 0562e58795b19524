/** An authority whose clock was ahead has signed for epochs to come, and signs nothing before these: it says so. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EPOCHS_SERVED } from '../../directory/served.ts';
import { DiskRecords } from '../../directory/voting/disk-records.ts';
import { loneAuthority } from '../support/lone-authority.ts';
import { epochOf, signedConsensus, testNetwork } from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';
import { SettableClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const EPOCH_MS = 60_000;
const AHEAD = 100;
const LINE = /^this authority signs nothing: it has signed for epochs to come, when its clock was ahead/;

/** An authority in `dir`, and the lines with which it says that it signs nothing. */
async function started(dir: string, clock: SettableClock) {
  const made = await loneAuthority(dir, clock);
  return { ...made, lines: () => made.said.filter((line) => LINE.test(line)) };
}

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-ahead-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

t.test(
  'an authority whose clock is set back says once until when it signs nothing, also after a restart',
  async (t) => {
    const dir = await folder(t);
    const clock = new SettableClock();
    const before = await started(dir, clock);
    clock.aheadMs = AHEAD * EPOCH_MS;
    await before.announce();
    t.ok(before.authority.current(), 'by its clock all is well');
    t.same([before.lines(), before.faults(), before.authority.signedAhead.epochsLeft(clock.wallMs())], [[], [], 0]);

    clock.aheadMs = 0;
    for (let ticks = 0; ticks < 3; ticks++) await before.authority.tick();
    t.equal(before.lines().length, 1);
    t.match(before.lines()[0], /"until":"\d{4}-\d\d-\d\d \d\d:\d\d UTC"/);
    t.match(before.faults(), [/^signs nothing until .* UTC: its clock was ahead/], 'and not that nodes are missing');
    t.ok(before.authority.signedAhead.epochsLeft(clock.wallMs()) >= AHEAD);

    const after = await started(dir, clock);
    await after.authority.tick();
    t.equal(after.lines().length, 1);
    clock.aheadMs = AHEAD * EPOCH_MS;
    await after.authority.tick();
    t.same([after.faults(), after.authority.signedAhead.until], [[], undefined]);
    t.match(after.said.at(-1), /this authority signs again/);
  },
);

t.test('an authority that signs the next epoch in time is not ahead, nor one that has signed nothing', async (t) => {
  const clock = new SettableClock();
  const { authority, announce, lines } = await started(await folder(t), clock);
  await authority.tick();
  for (let epochs = 0; epochs < 3; epochs++) {
    await announce();
    for (let passedMs = 0; passedMs < EPOCH_MS; passedMs += 5_000) {
      clock.advance(5_000);
      await authority.tick();
    }
  }
  t.same(lines(), []);
});

t.test(
  'what was signed before the clock was ahead is served again when it is right, also after a restart',
  async (t) => {
    const dir = await folder(t);
    const clock = new SettableClock();
    const before = await started(dir, clock);
    await before.announce();
    const present = before.authority.current();
    const first = epochOf(network, clock.wallMs());
    t.equal(present?.consensus.epoch, first);
    for (let ahead = 10; ahead < 10 + 2 * EPOCHS_SERVED; ahead++) {
      clock.aheadMs = ahead * EPOCH_MS;
      await before.announce();
    }
    const newest = before.authority.current()?.consensus.epoch ?? epochNumber(0);
    t.equal(newest, first + 9 + 2 * EPOCHS_SERVED);
    t.equal(before.authority.consensus(epochNumber(first)), undefined, 'by that clock it is long past');

    clock.aheadMs = 0;
    for (const { authority } of [before, await started(dir, clock)]) {
      await authority.tick();
      t.equal(authority.current()?.digest, present?.digest);
      t.ok(authority.consensus(epochNumber(newest)), 'its time is to come');
      t.equal(authority.consensus(epochNumber(newest - EPOCHS_SERVED)), undefined, 'no more of these than before');
      clock.aheadMs = (newest - EPOCHS_SERVED - first) * EPOCH_MS;
      await authority.tick();
      t.equal(authority.current()?.consensus.epoch, newest - EPOCHS_SERVED, 'and is there when its time has come');
      clock.aheadMs = 0;
    }
  },
);

t.test('where several vote it is what this authority has signed that counts', async (t) => {
  const records = new DiskRecords(await folder(t));
  t.equal(await records.newestSigned(), -1);
  for (const epoch of [7, 9]) await records.ownDocument(epochNumber(epoch), signedConsensus(network, epoch));
  t.equal(await records.newestSigned(), 9);
});
