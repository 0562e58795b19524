/** Readers name the versions of documents that they read; authorities of another version say so in one line. */
import t from 'tap';
import { Api } from '../../directory/api.ts';
import { signDocument, type VerifiedConsensus, Verifier, versionsOfField } from '../../lib/directory/index.ts';
import { admissionOf, OPEN } from '../support/admission.ts';
import { type Bench, bench, epochAsked } from '../support/directory-bench.ts';
import { consensusOf, crypto, keys, testNetwork } from '../support/signed-documents.ts';
import { monotonic } from '../support/units.ts';

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const EPOCH = 1000;

/** What an authority answers that has a consensus of this version, which need not be one that there is. */
function answerOf(version: number, reads: string | undefined, epoch = EPOCH) {
  const text = signDocument('consensus', consensusOf(network, epoch), keys(1000).seed, crypto);
  const verified = verifier.consensus(text);
  const served = { ...verified, consensus: { ...verified.consensus, version } } as VerifiedConsensus;
  const authority = { announce: async () => {}, consensus: () => served, current: () => served };
  const admission = admissionOf(verifier, OPEN, 10, () => monotonic(0));
  const api = new Api({ authority, admission, nowMs: () => monotonic(0), onAnnouncement: () => {} });
  const header = (name: string) => (name === 'mixsocks-documents' ? reads : undefined);
  const path = `/consensus/${epoch}`;
  return api.handle({ method: 'GET', path, query: new URLSearchParams(), header, body: '', address: '' });
}

/** Why a member has no consensus. */
async function problemOf(b: Bench): Promise<string> {
  await b.client.start();
  const waiting = b.client.waitForTopology(5_000).then(
    () => '',
    (error: Error) => error.message,
  );
  await b.run(6_000);
  return waiting;
}

t.test('a reader gets what it reads, and else a line that names both versions and who has to be updated', async (t) => {
  for (const reads of ['2', '1-2', '2-3', '1-65535', undefined, '', '0', '3-1', '2,3', '65536', '2'.repeat(1000)]) {
    t.equal((await answerOf(2, reads)).status, 200, String(reads).slice(0, 20));
  }
  for (const [version, reads, line] of [
    [3, '2', 'version 3, and its reader reads version 2; update the reader'],
    [3, '1-2', 'version 3, and its reader reads version 1 to 2; update the reader'],
    [2, '3-4', 'version 2, and its reader reads version 3 to 4; update the authority'],
  ] as const) {
    const answer = await answerOf(version, reads);
    t.match(answer, { status: 406, body: `version: the consensus has ${line}\n` });
    t.notOk(answer.headers, 'nothing of the document');
  }
});

t.test('a member asks with its version, and says why it gets no consensus of a later one', async (t) => {
  const asked: (string | undefined)[] = [];
  const b = bench(t, network, {
    'authority-0.test': async (request) => {
      const reads = request.headers?.['mixsocks-documents'];
      asked.push(reads);
      const { status, body } = await answerOf(3, reads, epochAsked(request));
      return { status, text: String(body) };
    },
  });
  t.match(await problemOf(b), /the consensus has version 3, and its reader reads version 2; update the reader/);
  t.equal(asked[0], '2');
});

t.test('an authority cannot put more than one line into the log of a member', async (t) => {
  const text = `version: a\nb\u001b[31m${'c'.repeat(10_000)}`;
  const b = bench(t, network, { 'authority-0.test': () => ({ status: 406, text }) });
  const problem = await problemOf(b);
  t.match(problem, /: version: a b \[31mc+ \(406\)$/);
  t.ok(problem.length < 400);
});

t.test('versions in a request are read strictly', async (t) => {
  t.same(versionsOfField('2'), { lowest: 2, highest: 2 });
  t.same(versionsOfField('2-10'), { lowest: 2, highest: 10 });
  for (const wrong of [undefined, '', '0', '02', '-2', '2-', '3-2', '2-65536', ' 2', '2 - 3', '2-3-4', '1e1']) {
    t.equal(versionsOfField(wrong), undefined, String(wrong));
  }
});
