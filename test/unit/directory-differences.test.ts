/** What an authority answers to those who have an earlier consensus. */
import t from 'tap';
import { Api, type ApiAnswer } from '../../directory/api.ts';
import { DIFFERENCE_EPOCHS } from '../../directory/differences.ts';
import { serveApi } from '../../directory/server.ts';
import { httpTransport } from '../../lib/directory/client/http-transport.ts';
import {
  applyDifference,
  type Consensus,
  consensusDifference,
  DIFFERENCE_NAME,
  signDocument,
  type VerifiedConsensus,
  Verifier,
} from '../../lib/directory/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { admissionOf, OPEN } from '../support/admission.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { consensusOf, crypto, keys, testNetwork } from '../support/signed-documents.ts';
import { monotonic } from '../support/units.ts';

const network = testNetwork(2, 1);
const verifier = new Verifier(network, crypto);
const EPOCH = 1000;
const NEXT = EPOCH + 1;

/** What authority `n` has signed for an epoch. */
function signed(epoch: number, n = 0, extra: Partial<Consensus> = {}): VerifiedConsensus {
  return verifier.consensus(signDocument('consensus', consensusOf(network, epoch, extra), keys(1000 + n).seed, crypto));
}

/** An authority that serves these. */
function apiOf(...served: readonly VerifiedConsensus[]): Api {
  const authority = {
    announce: async () => {},
    consensus: (epoch: number) => served.find(({ consensus }) => consensus.epoch === epoch),
    current: () => served.at(-1),
  };
  const admission = admissionOf(verifier, OPEN, 10, () => monotonic(0));
  return new Api({ authority, admission, nowMs: () => monotonic(0), onAnnouncement: () => {} });
}

const asking = ({ digest }: VerifiedConsensus) => ({ 'if-none-match': `"${digest}"`, 'a-im': DIFFERENCE_NAME });

function get(api: Api, path: string, headers: Readonly<Record<string, string>> = {}): Promise<ApiAnswer> {
  const header = (name: string) => headers[name];
  return api.handle({ method: 'GET', path, query: new URLSearchParams(), header, body: '', address: '' });
}

const bytesOf = ({ body }: ApiAnswer) => Buffer.from(body);

t.test('who has the consensus before gets the difference, and what it is of', async (t) => {
  const [before, next] = [signed(EPOCH), signed(NEXT)];
  const api = apiOf(before, next);
  for (const path of [`/consensus/${NEXT}`, '/consensus']) {
    const answer = await get(api, path, asking(before));
    t.match(answer, { status: 226, type: 'application/octet-stream' });
    t.match(answer.headers, { IM: DIFFERENCE_NAME, 'Delta-Base': `"${before.digest}"`, ETag: `"${next.digest}"` });
    t.equal(applyDifference(bytesOf(answer), before, crypto), next.text);
    t.ok(bytesOf(answer).length < next.text.length / 2);
  }
});

t.test('the whole goes to who asks for no difference, or has what is not served before it', async (t) => {
  const [before, next] = [signed(EPOCH), signed(NEXT)];
  const api = apiOf(before, next);
  const whole = async (headers: Readonly<Record<string, string>>, epoch = NEXT) => {
    const answer = await get(api, `/consensus/${epoch}`, headers);
    return answer.status === 200 && bytesOf(answer).toString() === (epoch === NEXT ? next : before).text;
  };
  t.ok(await whole({}));
  t.ok(await whole({ 'if-none-match': `"${before.digest}"` }), 'a client of before');
  t.ok(await whole({ 'a-im': DIFFERENCE_NAME }));
  t.ok(await whole({ ...asking(before), 'a-im': 'gzip' }));
  t.ok(await whole(asking(signed(EPOCH, 0, { nodes: [] }))), 'a document that it does not serve');
  t.ok(await whole(asking(next), EPOCH), 'from a later one');
});

t.test('what is known already is "not modified", in as many bytes whatever it is', async (t) => {
  const [before, next] = [signed(EPOCH), signed(NEXT, 0, { nodes: [] })];
  const api = apiOf(before, next);
  const answers = [
    await get(api, `/consensus/${EPOCH}`, asking(before)),
    await get(api, `/consensus/${NEXT}`, { 'if-none-match': `"${next.digest}"` }),
  ];
  for (const answer of answers) t.match(answer, { status: 304, body: '' });
  const sizes = answers.map(({ headers }) => JSON.stringify(headers).length);
  t.equal(sizes[0], sizes[1]);
});

t.test(`differences start from ${DIFFERENCE_EPOCHS} epochs before at most, and are made once`, async (t) => {
  const served = Array.from({ length: DIFFERENCE_EPOCHS + 2 }, (_, i) => signed(EPOCH + i));
  const api = apiOf(...served);
  const last = served.at(-1) as VerifiedConsensus;
  const path = `/consensus/${last.consensus.epoch}`;
  const statuses = [];
  for (const base of served.slice(0, -1)) statuses.push((await get(api, path, asking(base))).status);
  t.strictSame(statuses, [200, ...Array(DIFFERENCE_EPOCHS).fill(226)]);
  const base = served.at(-2) as VerifiedConsensus;
  t.equal((await get(api, path, asking(base))).body, (await get(api, path, asking(base))).body, 'shared');
});

t.test('a difference that saves less than half is not given', async (t) => {
  const noise = (n: number) => Buffer.from(seededRng(n).bytes(700)).toString('base64');
  const requesters = (epoch: number, from: number) => {
    const [first, ...others] = consensusOf(network, epoch).nodes.toReversed();
    const made = Array.from({ length: 20 }, (_, i) => ({
      ...first,
      identity: keys(100 + i).id,
      exitPolicy: noise(from + i),
    }));
    return { nodes: [...others, ...made] } as Partial<Consensus>;
  };
  const [old, renewed] = [signed(EPOCH, 0, requesters(EPOCH, 0)), signed(NEXT, 0, requesters(NEXT, 100))];
  const answer = await get(apiOf(old, renewed), `/consensus/${NEXT}`, asking(old));
  t.equal(answer.status, 200);
  t.ok(consensusDifference(old, renewed).length > renewed.text.length / 2);
});

t.test('authorities that signed the same list give differences from one another’s', async (t) => {
  const [mine, theirs, next] = [signed(EPOCH, 0), signed(EPOCH, 1), signed(NEXT, 1)];
  t.not(mine.text, theirs.text);
  const answer = await get(apiOf(theirs, next), `/consensus/${NEXT}`, asking(mine));
  t.equal(answer.status, 226);
  t.equal(applyDifference(bytesOf(answer), mine, crypto), next.text);
});

t.test('over HTTP a difference arrives to the byte', async (t) => {
  const [before, next] = [signed(EPOCH), signed(NEXT)];
  const server = await serveApi(
    () => apiOf(before, next),
    '127.0.0.1:0',
    silentLog,
    () => {},
  );
  const transport = httpTransport();
  t.teardown(async () => {
    await transport.close();
    await server.close();
  });
  const url = `http://127.0.0.1:${server.port}/consensus/${NEXT}`;
  const request = { method: 'GET', url, headers: asking(before), maxBytes: 1e6 } as const;
  const { status, bytes = new Uint8Array() } = await transport.send(request, new AbortController().signal);
  t.equal(status, 226);
  t.equal(applyDifference(bytes, before, crypto), next.text);
});
