/** What `mixsocks run` keeps without a network: a sealed command reaches nothing, ends in order, and failures are told apart. */
import t from 'tap';
import { inheritedDescriptors, noNamespaces, nothingLeaks, ownFailures, sealedEnds } from './run/seal.ts';
import { environmentWithout, usersThatCanSeal } from './run/world.ts';

t.setTimeout(300_000);

const users = process.platform === 'linux' ? usersThatCanSeal() : [];
const none = users.length === 0 && 'no namespaces here';

t.test('programs that ignore the proxy go past it, and sealed reach nothing', { skip: none }, async (t) =>
  nothingLeaks(t, await environmentWithout(t), users),
);

for (const user of users) {
  t.test(`a sealed command of ${user.name} ends in order`, async (t) =>
    sealedEnds(t, await environmentWithout(t), user),
  );
}

t.test('a sealed command gets no descriptor but the standard ones', { skip: none }, async (t) =>
  inheritedDescriptors(t, await environmentWithout(t)),
);

t.test('a kernel that forbids namespaces', { skip: none }, async (t) => noNamespaces(t, await environmentWithout(t)));

t.test('failures of run itself', async (t) => ownFailures(t, await environmentWithout(t)));
