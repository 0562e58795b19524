/** What an authority that votes keeps on its disk, and how it asks the others. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CONSENSUSES_KEPT } from '../../directory/archive.ts';
import { ATTEMPTS_KEPT, DiskRecords, MAX_EVIDENCE_FILES } from '../../directory/voting/disk-records.ts';
import { Peers } from '../../directory/voting/peers.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { HttpReply, HttpRequest } from '../../lib/directory/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { keys, testNetwork } from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { NETWORK } from '../support/voting/voting-nodes.ts';
import { VotingWorld } from '../support/voting/voting-world.ts';

async function records(t: Test): Promise<DiskRecords> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-records-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return new DiskRecords(dir);
}

const signed = (payload: string) => JSON.stringify({ payload, signatures: [] });
const slot = (epoch: number, attempt = 0) => ({
  epoch: epochNumber(epoch),
  attempt,
  startMs: unix(0),
  roundMs: 1,
  rounds: 2,
});
const voteOf = (ballot: string) => ({ vote: '{}', ballot });

t.test('the first consensus that was signed of an epoch stands, also for another process', async (t) => {
  const kept = await records(t);
  const epoch = epochNumber(10);
  t.equal(await kept.ownDocument(epoch), undefined);
  t.equal(await kept.ownDocument(epoch, signed('one')), signed('one'));
  const later = new DiskRecords(kept.dir);
  t.equal(await later.ownDocument(epoch, signed('two')), signed('one'));
  t.equal(
    await later.ownDocument(epochNumber(9), signed('old')),
    undefined,
    'nothing of an earlier epoch, whatever the clock says',
  );
  await writeFile(join(kept.dir, 'voting', '10', 'signed.json'), '{"pay');
  t.equal(await later.ownDocument(epoch, signed('three')), undefined, 'one that cannot be read has used up its epoch');
});

t.test('one own vote in each voting; the votes of the last ones are kept', async (t) => {
  const kept = await records(t);
  t.equal(await kept.ownVote(slot(1, 1)), undefined);
  t.same(await kept.ownVote(slot(1, 1), voteOf('a')), voteOf('a'));
  t.same(await new DiskRecords(kept.dir).ownVote(slot(1, 1), voteOf('b')), voteOf('a'));
  for (let attempt = 2; attempt < 9; attempt += 1) {
    await kept.keepVotes(slot(1, attempt), new Map([[keys(1).id, [voteOf(String(attempt)), voteOf('x')]]]));
  }
  t.same(await kept.attempts(1), [5, 6, 7, 8].slice(-ATTEMPTS_KEPT));
  t.same([...(await kept.votes(1, 8)).values()], [[voteOf('8'), voteOf('x')]]);
  for (let epoch = 2; epoch < CONSENSUSES_KEPT + 10; epoch += 1) await kept.keepVotes(slot(epoch), new Map());
  t.equal((await kept.epochs()).length, CONSENSUSES_KEPT);
});

t.test('a clock that is set back beyond what is kept makes nobody vote or sign anew', async (t) => {
  const kept = await records(t);
  const vote = async (epoch: number, attempt: number) => {
    const own = await kept.ownVote(slot(epoch, attempt), voteOf(`${epoch} ${attempt}`));
    await kept.keepVotes(slot(epoch, attempt), new Map());
    return own !== undefined;
  };
  for (let attempt = 0; attempt < 3 * ATTEMPTS_KEPT; attempt += 1) t.ok(await vote(7, attempt));
  for (const attempt of [0, 1, 2 * ATTEMPTS_KEPT - 1]) t.notOk(await vote(7, attempt), `attempt ${attempt} again`);
  t.ok(await vote(7, 3 * ATTEMPTS_KEPT), 'a later one');
  t.ok(await vote(6, 1), 'another epoch, of which nothing can have been deleted');

  const first = epochNumber(8);
  t.ok(await kept.ownDocument(first, signed('one')));
  for (let epoch = 9; epoch < 9 + 2 * CONSENSUSES_KEPT; epoch += 1) t.ok(await vote(epoch, 0));
  t.notOk(await vote(10, 0), 'an epoch that is kept no more');
  t.equal(await kept.ownDocument(first, signed('two')), signed('one'), 'the newest that was signed is kept');
  t.equal(await kept.ownDocument(epochNumber(7), signed('two')), undefined);

  t.ok(await vote(1_000_000, 0), 'a clock that is far ahead for once');
  t.ok(await vote(9 + 2 * CONSENSUSES_KEPT, 0), 'does not silence it');
});

t.test('evidence is bounded', async (t) => {
  const kept = await records(t);
  for (let epoch = 0; epoch < MAX_EVIDENCE_FILES + 5; epoch += 1) {
    await kept.keepEvidence(epochNumber(epoch), 'votes', keys(1).id, ['a', 'b']);
  }
  t.equal((await readdir(join(kept.dir, 'evidence'))).length, MAX_EVIDENCE_FILES);
});

/** An authority of three that asks the others, which answer as `answer` says; `said`: its log. */
function asking(answer: (url: string, clock: VirtualClock) => Promise<HttpReply>) {
  const network = testNetwork(3, 2);
  const world = new VotingWorld(network);
  const { voting } = world.addHonest(0, { nodes: NETWORK });
  const clock = new VirtualClock();
  const said: string[] = [];
  const note = (fields: object, message: string) => void said.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, warn: note, error: note, info: note, child: () => log };
  const send = ({ url }: HttpRequest) => answer(url, clock);
  const others = network.authorities.slice(1);
  const transport = { send, close: async () => {} };
  const peers = new Peers({ network, others, voting, transport, components: { clock, log }, tick: async () => {} });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(500);
      for (let i = 0; i < 8; i += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { peers, pass, said };
}

t.test('an authority that does not answer, or lives in another time, is named once', async (t) => {
  let aheadMs = 60_000;
  let isUp = false;
  const { peers, pass, said } = asking(async (url, clock) => {
    if (url.includes('authority-1') && !isUp) throw new MixError('HOST_UNREACHABLE', 'authority-1 is down');
    const late = url.includes('authority-2') ? aheadMs : 0;
    return { status: 404, text: '', dateMs: unix(clock.wallMs() + late) };
  });
  await pass(30_000);
  t.equal(said.length, 2);
  t.match(said.join(), 'another authority does not answer as it should');
  t.match(said.join(), 'the clock of another authority is 60 s ahead of ours: one of the two is wrong');
  isUp = true;
  aheadMs = 0;
  await pass(30_000);
  t.equal(said.length, 3);
  t.match(said[2], 'the authority answers again');
  await peers.stop();
});

t.test(
  'one that answers now and then, or with another time each time, fills no log, and its last state is said',
  async (t) => {
    const asked = new Map<string, number>();
    let alternates = true;
    const { peers, pass, said } = asking(async (url, clock) => {
      const times = (asked.get(url) ?? 0) + 1;
      asked.set(url, times);
      const isOdd = alternates && times % 2 === 1;
      if (url.includes('authority-1')) return { status: isOdd ? 500 : 404, text: '' };
      return { status: 404, text: '', dateMs: unix(clock.wallMs() + (isOdd ? 60_000 : 0)) };
    });
    await pass(300_000);
    const polls = Math.min(...asked.values());
    t.ok(polls > 60, `${polls} polls of each`);
    t.ok(said.length <= 2 * (4 + 5), `${said.length} lines in five minutes`);
    alternates = false;
    await pass(130_000);
    const ofFirst = said.filter((line) => line.includes('authority-1'));
    t.match(ofFirst.at(-1), 'answers again');
    await peers.stop();
  },
);
