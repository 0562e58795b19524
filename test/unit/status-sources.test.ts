/** Who is behind with the list of nodes, as people see it: in status, on the page, on the command line, among the troubles. */
import t from 'tap';
import { formatStatus } from '../../cli/status-text.ts';
import type { ProxyMixnet } from '../../lib/access/mixnet.ts';
import { directoryStatus } from '../../lib/access/status/directory-status.ts';
import type { Status } from '../../lib/access/status/status.ts';
import { Diagnosis } from '../../lib/access/troubles/diagnosis.ts';
import { RecentTroubles } from '../../lib/access/troubles/recent-troubles.ts';
import type { LaggingSource, SourcesStatus } from '../../lib/directory/index.ts';
import { view } from '../../proxy/status/page/browser/view.ts';
import { HISTORY, STATUS } from '../support/status-fixture.ts';
import { epochNumber, monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const URL = 'http://authority.test';
const AUTHORITY: LaggingSource = {
  kind: 'authority',
  name: URL,
  epoch: epochNumber(7),
  epochsBehind: 3,
  problem: 'it has none',
};
const GATEWAY: LaggingSource = {
  kind: 'gateway',
  name: '<gateway-1>',
  epoch: null,
  epochsBehind: null,
  problem: 'not whole',
};
const SOURCES: SourcesStatus = {
  origin: 'gateway',
  lagging: [AUTHORITY, GATEWAY],
  signedTwice: { epoch: epochNumber(9), authorities: [URL] },
};
const shown: Status = { ...STATUS, directory: directoryStatus(SOURCES, 3_600_000) };

t.test('the status says who is behind and by how much', async (t) => {
  const { origin, lagging, signedTwice } = shown.directory;
  t.equal(origin, 'gateway');
  t.match(lagging, [
    { ...AUTHORITY, secondsBehind: 10_800, words: /^The authority http:\/\/authority.test is 3 epochs \(3 h\) behind/ },
    { ...GATEWAY, secondsBehind: null, words: /^The gateway <gateway-1> has given no list of nodes: not whole\./ },
  ]);
  t.strictSame(signedTwice, SOURCES.signedTwice);
});

t.test('page and command line show it, and nothing when all is well', async (t) => {
  const text = formatStatus(shown);
  t.match(text, /The authority http:\/\/authority.test is 3 epochs \(3 h\) behind with its list of nodes: it has none/);
  t.match(text, /TWO LISTS of nodes for epoch 9 were signed by http:\/\/authority.test/);
  t.notMatch(formatStatus(STATUS), /behind with|TWO LISTS/);
  const { markup } = view(shown, HISTORY);
  t.match(markup, /The authority http:\/\/authority.test is 3 epochs/);
  t.match(markup, /The gateway &lt;gateway-1&gt; has given no list/);
  t.match(markup, /Two lists of nodes for epoch 9 were signed by http:\/\/authority.test/);
  t.notMatch(view(STATUS, HISTORY).markup, /behind with|Two lists/);
});

t.test('each list that a source has not given is noted once, and is no trouble to anyone', async (t) => {
  const clock = new VirtualClock();
  const troubles = new RecentTroubles(clock);
  let epoch = 10;
  let lagging: readonly LaggingSource[] = [AUTHORITY];
  const directory = {
    topology: () => ({ epoch }),
    get sources() {
      return { ...SOURCES, lagging };
    },
  };
  const diagnosis = new Diagnosis({ directory } as unknown as ProxyMixnet);
  for (let second = 0; second < 5; second++) diagnosis.look(troubles, monotonic(1000 * second));
  t.match(troubles.status().reasons, [{ reason: 'source-behind', what: ['1 list of nodes not given'] }]);
  t.match(troubles.status().verdict, /^Nothing was refused/);
  epoch = 11;
  lagging = [AUTHORITY, GATEWAY];
  diagnosis.look(troubles, monotonic(6_000));
  t.match(troubles.status().reasons, [{ what: ['3 lists of nodes not given'] }]);
});
