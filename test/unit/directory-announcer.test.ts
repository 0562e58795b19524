/** How a node keeps itself announced, whatever the authorities do. On a virtual clock. */
import t, { type Test } from 'tap';
import { epochNumber } from '../../lib/core/units.ts';
import { type HttpRequest, timing } from '../../lib/directory/index.ts';
import { type Answer, bench, willing } from '../support/directory-bench.ts';
import { draft, keys, testNetwork } from '../support/signed-documents.ts';

const EPOCH_MS = 60_000;
const NODE = 1;

const isAnnouncement = ({ url }: Pick<HttpRequest, 'url'>) => url.endsWith('/descriptor');

/** A node that is announced to four authorities; the last one does what is given. */
async function announced(t: Test, last: Answer | undefined) {
  const network = testNetwork(4, 1);
  const taking = (n: number): Answer => {
    const consensus = willing(network, 1000 + n);
    return (request, signal) =>
      isAnnouncement(request) ? { status: 200, text: 'accepted\n' } : consensus(request, signal);
  };
  const answers = Object.fromEntries([0, 1, 2].map((n) => [`authority-${n}.test`, taking(n)]));
  const b = bench(t, network, last === undefined ? answers : { ...answers, 'authority-3.test': last });
  await b.client.start();
  b.client.announce((epochs) => draft('mixnode', epochs, { name: 'mix-1', layer: 1 }), keys(NODE).seed);
  const times = (host: string) =>
    b.asked.filter((one) => isAnnouncement(one) && one.url.includes(host)).map(({ atMs }) => atMs);
  return { b, times };
}

const silent: Answer = (_request, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
const refusing: Answer = () => ({ status: 403, text: 'not you\n' });

for (const [what, last] of Object.entries({ 'is down': undefined, 'is silent': silent, refuses: refusing })) {
  t.test(`while one authority ${what}, the others get an announcement for each epoch`, async (t) => {
    const { b, times } = await announced(t, last);
    const first = b.epoch + 1;
    await b.run(4 * EPOCH_MS);
    for (let epoch = first; epoch < first + 4; epoch++) {
      const turnMs = epoch * EPOCH_MS;
      const fromMs = timing.announcedFromMs(epochNumber(epoch), EPOCH_MS);
      for (const host of ['authority-0', 'authority-1', 'authority-2']) {
        const inTime = times(host).filter((atMs) => atMs >= fromMs && atMs < turnMs);
        t.equal(inTime.length, 1, `${host} before epoch ${epoch}, once`);
      }
    }
    t.ok(times('authority-3').length > 20, 'the one that has not taken it is asked again and again');
  });
}
