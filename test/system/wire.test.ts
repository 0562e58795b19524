import t from 'tap';
import { clientFrameBytes, DEFAULT_PARAMS, packetBytes } from '../../lib/params.ts';
import type { RecordReader } from '../support/link-fixtures.ts';
import { observeNetwork } from '../support/observed-network.ts';
import { curl, patternSha256, sha256, startWeb } from '../support/web.ts';

const APPLICATION_DATA = 23;
/** TLS 1.3 (RFC 8446 section 5.2): a record is the fragment, its content type and the tag of the cipher. */
const TLS_EXPANSION_BYTES = 17;
/** Encrypted handshake messages look like application records: EncryptedExtensions to Finished, at most one each. */
const HANDSHAKE_RECORDS = 9;

const { payloadBytes } = DEFAULT_PARAMS;
const NODE_RECORD = packetBytes(payloadBytes) + TLS_EXPANSION_BYTES;
const CLIENT_RECORD = clientFrameBytes(payloadBytes) + TLS_EXPANSION_BYTES;

/** The distinct sizes from the first frame on, and how many records came before it. */
function afterHandshake({ records }: RecordReader): { before: number; sizes: number[]; frames: number } {
  const before = records.findIndex(({ bytes }) => bytes === NODE_RECORD || bytes === CLIENT_RECORD);
  const frames = records.slice(before);
  const alerts = frames.filter(({ type }) => type !== APPLICATION_DATA);
  return { before, sizes: [...new Set([...frames, ...alerts].map(({ bytes }) => bytes))], frames: frames.length };
}

t.test('an observer of every link sees records of one size on each, and nothing to read', async (t) => {
  const web = await startWeb(t);
  const needles = ['GET /bytes', 'hello through', 'HTTP/1.1', new URL(web.url).host];
  const seen = new Set<string>();
  const network = await observeNetwork(t, (chunk) => {
    const text = chunk.toString('latin1');
    for (const needle of needles) if (text.includes(needle)) seen.add(needle);
  });

  const page = await curl(network.socks, [`${web.url}/`]);
  t.equal(page.body.toString(), 'hello through the mixnet\n');
  const download = await curl(network.socks, [`${web.url}/bytes/100000`]);
  t.equal(sha256(download.body), patternSha256(100_000));
  // Observed while it runs: the close itself is a TLS alert, which is no frame.
  const links = network.links.map(({ to, up, down }) => ({ to, up: afterHandshake(up), down: afterHandshake(down) }));
  await network.stop();

  t.strictSame([...seen], [], 'no byte of requests, answers or addresses in clear');
  const busy = links.filter(({ up }) => up.frames > 1);
  const dialled = busy.map(({ to }) => to.replace(/-\d+$/, '')).sort();
  t.strictSame(dialled, ['gateway', 'gateway', 'gateway', 'gateway', 'mix-1', 'mix-1', 'mix-2', 'mix-3'], 'every pair');
  for (const { to, up, down } of busy) {
    t.equal(up.sizes.length, 1, `${to}: ${up.frames} records of ${up.sizes} bytes inbound`);
    t.strictSame(down.sizes, up.sizes, `${to}: ${down.frames} of the same size outbound`);
    t.ok(up.before <= HANDSHAKE_RECORDS && down.before <= HANDSHAKE_RECORDS, 'nothing else but the handshake');
  }
  t.equal(busy.filter(({ up }) => up.sizes[0] === CLIENT_RECORD).length, 2, 'proxy and requester are clients');
});
