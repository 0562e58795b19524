/** What a requester gives its sessions: replies and seats for packets, and a memory for those that ended. */
import t from 'tap';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import {
  MAX_UNPROVEN,
  PaidMeter,
  paidRate,
  replyTerms,
  seatToLeave,
  unprovenToLeave,
} from '../../lib/session/requester/admission.ts';
import { EndedIds, MAX_ENDED_IN_SLICE } from '../../lib/session/requester/ended-ids.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { answer, idOf, open, owner, packet, prove, table } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

t.test('a class that is switched off by rates of 0 changes nothing for the others', async (t) => {
  const off = { mainRate: 0, replyRate: 0, loopRate: 0, dropRate: 0, deliveryRate: 0 };
  const { classes } = DEFAULT_PARAMS;
  t.strictSame(replyTerms({ ...classes, off }), replyTerms(classes));
  const unpaid = { ...off, replyRate: 100 };
  t.strictSame(replyTerms({ ...classes, unpaid }), replyTerms(classes), 'nor one that would have replies for nothing');
  t.equal(paidRate(0, replyTerms({ standard: off })), 1);
});

t.test('replies follow the packets of the last ten seconds', async (t) => {
  const meter = new PaidMeter(monotonic(0));
  const terms = replyTerms(DEFAULT_PARAMS.classes);
  t.strictSame(terms, { maxRate: 500, repliesPerPacket: 2.5 }, 'the most generous class');
  meter.onPacket(monotonic(0));
  t.equal(paidRate(meter.rate(monotonic(0)), terms), 5, 'a first packet counts for half a second');
  for (let ms = 20; ms < 20_000; ms += 20) meter.onPacket(monotonic(ms));
  t.ok(Math.abs(meter.rate(monotonic(19_999)) - 50) < 1);
  t.equal(meter.rate(monotonic(31_000)), 0, 'what was paid before counts no more');
  t.equal(paidRate(0, terms), 1, 'a session can always answer');
  t.ok(meter.seatRate(monotonic(31_000)) > 10, 'for its seat it does');
  t.equal(meter.seatRate(monotonic(3_600_000)), 0);
});

const seated = (proven: boolean, packets: number) => {
  const paid = new PaidMeter(monotonic(0));
  for (let i = 0; i < packets; i++) paid.onPacket(monotonic(0));
  return { proven, paid };
};

t.test('a seat goes to who pays more', async (t) => {
  const [idle, busy, newcomer] = [seated(true, 1), seated(true, 100), seated(true, 10)];
  const now = monotonic(1_000);
  t.equal(seatToLeave([idle, busy, newcomer], newcomer, 3, now), undefined, 'there is one left');
  t.equal(seatToLeave([idle, busy, newcomer], newcomer, 2, now), idle);
  t.equal(seatToLeave([busy, newcomer], newcomer, 1, now), newcomer, 'who pays more is never ended');
});

t.test('sessions without proof give way to each other, not those with a seat', async (t) => {
  const unproven = Array.from({ length: MAX_UNPROVEN }, (_, i) => seated(false, i === 7 ? 1 : 3));
  const all = [seated(true, 0), ...unproven];
  t.equal(unprovenToLeave(all.slice(0, -1), monotonic(0)), undefined);
  t.equal(unprovenToLeave(all, monotonic(0)), unproven[7], 'the one that sent least');
  t.equal(unprovenToLeave(all, monotonic(10_000)), unproven[0], 'after ten seconds any');
});

t.test('before it has proven that it receives, a session has one stream', async (t) => {
  const sessions = table();
  sessions.receive(packet(idOf(1), 1, open(0), { blocks: 3 }), monotonic(0));
  t.equal([...sessions.sessions()][0]?.proven, false);
  const wrong = packet(idOf(1), 2, (b) => b.response(owner, new Uint8Array(8)) && open(1)(b), { blocks: 0 });
  sessions.receive(wrong, monotonic(0));
  t.equal(sessions.size, 0);
  t.equal(answer(sessions), 'protocol');

  sessions.receive(packet(idOf(2), 1, open(0), { blocks: 3 }), monotonic(0));
  prove(sessions, idOf(2));
  for (const stream of [1, 2, 3]) sessions.receive(packet(idOf(2), 10 + stream, open(stream)), monotonic(70));
  t.equal([...sessions.sessions()][0]?.stats().streamsOpened, 4);
});

t.test('ids are kept for their time, and not for ever; a full memory says so', async (t) => {
  const rng = seededRng(4);
  const ids = new EndedIds(60_000, rng);
  const keys = Array.from({ length: 70_000 }, () => Buffer.from(rng.bytes(16)).toString('latin1'));
  for (const [i, key] of keys.entries()) ids.add(key, monotonic(Math.floor((i * 50_000) / keys.length)));
  t.ok(keys.every((key) => ids.has(key, monotonic(50_000))));
  t.notOk(ids.has(Buffer.from(rng.bytes(16)).toString('latin1'), monotonic(50_000)));
  t.ok(ids.has(keys[0] as string, monotonic(59_999)), 'as long as a packet of it can be read');
  t.notOk(ids.has(keys[0] as string, monotonic(70_000)));
  t.equal(ids.isFull(monotonic(70_000)), false);
  t.equal(MAX_ENDED_IN_SLICE, 2 ** 20);
});

t.test('ids that are made alike do not pile up in the memory of ended sessions', async (t) => {
  for (const place of [0, 3, 4, 7]) {
    const ids = new EndedIds(60_000, seededRng(place));
    for (let i = 0; i < 5_000; i++) {
      const id = Buffer.alloc(16, 0xee);
      id.writeUInt16LE(i, place === 7 ? 6 : place);
      ids.add(id.toString('latin1'), monotonic(0));
    }
    t.ok(ids.longestSearch < 500, `${ids.longestSearch} slots of 5,000`); // random ids take about a hundred
  }
});
