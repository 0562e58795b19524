/** A requester names gateways that have said that they serve it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Archive } from '../../directory/archive.ts';
import { SECOND_GATEWAY_WAIT_MS } from '../../directory/authority.ts';
import { nodesFor } from '../../directory/consensus-builder.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import {
  type Descriptor,
  type DescriptorDraft,
  MAX_COUNTERSIGNATURE_AGE_MS,
  Verifier,
} from '../../lib/directory/index.ts';
import { admissionOf, authorityOn } from '../support/admission.ts';
import {
  countersigned,
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  outcome,
  signedDescriptor,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const EPOCH_MS = 60_000;
const EPOCH = 1000;
const NOW_MS = EPOCH * EPOCH_MS + 30_000;

/** An authority that has three mixes, requester 4 at gateway 3, and gateways 3 and 5, all announced in this order. */
async function startedNetwork(t: Test) {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-archive-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const clock = new VirtualClock();
  const held = admissionOf(verifier);
  const minimums = { mixesPerLayer: 1, gateways: 2, requesters: 1 };
  const authority = authorityOn(new Archive(dir), held, clock, { minimums });
  await authority.open();
  const epoch = epochNumber(epochOf(network, clock.wallMs()));
  const announce = (n: number, role: DescriptorDraft['role'], extra: object = {}) => {
    const made = descriptorOf(network, n, draft(role, [epoch, epoch + 1], extra), clock.wallMs(), extra);
    return authority.announce(signedDescriptor(n, made), undefined);
  };
  for (const layer of [1, 2, 3]) await announce(layer + 10, 'mixnode', { layer });
  await announce(3, 'gateway');
  await announce(4, 'requester');
  await announce(5, 'gateway');
  return { authority, clock, announce, signed: () => authority.consensus(epoch)?.consensus };
}

const gateway = (n: number): Descriptor => descriptorOf(network, n, draft('gateway', [EPOCH, EPOCH + 1]), NOW_MS);

t.test('a requester is taken with the word of its gateways, not older than a week', async (t) => {
  const tried = (gateways: readonly object[]) => {
    const exit = descriptorOf(network, 4, draft('requester', [EPOCH, EPOCH + 1]), NOW_MS, { gateways });
    return outcome(() => admissionOf(verifier).accept(signedDescriptor(4, exit), undefined, unix(NOW_MS)));
  };
  const word = (ageMs: number, by = 3) => countersigned(network, 4, by, NOW_MS - ageMs);
  const WEEK_MS = MAX_COUNTERSIGNATURE_AGE_MS;
  t.equal(tried([word(0)]), 'accepted');
  t.equal(tried([word(0), word(0, 5)]), 'accepted');
  t.equal(tried([word(-10_000)]), 'accepted', 'clocks may differ by Δ');
  t.equal(tried([word(-10_001)]), 'stale');
  t.equal(tried([{ ...word(0), gateway: keys(5).id }]), 'bad-signature', 'the word of another');
  t.equal(tried([countersigned(network, 6, 3, NOW_MS)]), 'bad-signature', 'for another');
  t.equal(tried([{ ...word(0), madeMs: NOW_MS - 1 }]), 'bad-signature', 'of another time');
  t.equal(tried([word(0), { ...word(0, 5), signature: '0'.repeat(128) }]), 'bad-signature', 'one of two');

  const weekLater = EPOCH * EPOCH_MS + WEEK_MS;
  const epoch = epochOf(network, weekLater);
  const old = (madeMs: number) => {
    const gateways = [countersigned(network, 4, 3, madeMs)];
    const exit = descriptorOf(network, 4, draft('requester', [epoch, epoch + 1]), weekLater, { gateways });
    return outcome(() => admissionOf(verifier).accept(signedDescriptor(4, exit), undefined, unix(weekLater)));
  };
  t.equal(old(weekLater - WEEK_MS), 'accepted');
  t.equal(old(weekLater - WEEK_MS - 1), 'stale');
});

t.test(
  'a consensus lists of the gateways of a requester those that it lists, and the requester with one at least',
  async (t) => {
    const exit = (n: number, ...by: number[]) =>
      descriptorOf(network, n, draft('requester', [EPOCH, EPOCH + 1]), NOW_MS, {
        gateways: by.map((one) => countersigned(network, n, one, NOW_MS)),
      });
    const listed = nodesFor(
      epochNumber(EPOCH),
      [gateway(1), gateway(2), exit(4, 1, 2), exit(5, 9, 2), exit(6, 8, 9)],
      network,
      DEFAULT_PARAMS,
      undefined,
    );
    const gatewaysOf = (n: number) => listed.find(({ identity }) => identity === keys(n).id) as { gateways?: string[] };
    t.same(gatewaysOf(4)?.gateways, [keys(1).id, keys(2).id]);
    t.same(gatewaysOf(5)?.gateways, [keys(2).id]);
    t.equal(gatewaysOf(6), undefined);
  },
);

t.test('the first consensus waits a moment for requesters that name one gateway where there are two', async (t) => {
  const { authority, clock, announce, signed } = await startedNetwork(t);
  t.equal(signed(), undefined, 'the requester has not seen the second gateway');
  clock.advance(SECOND_GATEWAY_WAIT_MS - 1);
  await authority.tick();
  t.equal(signed(), undefined);
  await announce(4, 'requester', { gateways: [3, 5].map((by) => countersigned(network, 4, by, clock.wallMs())) });
  const gateways = signed()?.nodes.flatMap((node) => (node.role === 'requester' ? node.gateways : []));
  t.same(gateways, [keys(3).id, keys(5).id]);
});

t.test('a requester with one gateway by configuration holds nobody up for long', async (t) => {
  const { authority, clock, signed } = await startedNetwork(t);
  clock.advance(SECOND_GATEWAY_WAIT_MS);
  await authority.tick();
  t.ok(signed());
});
