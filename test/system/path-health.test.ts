/** A bad mix and a dead one are left out while downloads run, and nobody else is. */
import t from 'tap';
import { FEWER_PACKETS, TestNetwork, until } from '../support/localnet.ts';
import { Transfers } from '../support/transfers.ts';
import { startWeb } from '../support/web.ts';

t.test('a mix that drops half and one that is killed are left out, and nobody else', async (t) => {
  const web = await startWeb(t);
  const faulty = ['--mixes-per-layer', '3', '--fault', 'mix-2-1:drop=0.5'];
  const network = await TestNetwork.start(t, [...faulty, ...FEWER_PACKETS]);
  const excluded = async () => (await network.status()).nodes.filter((node) => node.excluded).map(({ name }) => name);
  const transfers = new Transfers(t, network.socks, web);
  let done = false;
  /** One download after another, until nothing is waited for any more. */
  const downloads = (async () => {
    const faults: string[] = [];
    while (!done) faults.push((await transfers.download(150_000, 60)).fault);
    return faults.filter((fault) => fault !== '');
  })();
  const seen = new Set<string>();
  const avoided = (name: string) => async () => {
    for (const one of await excluded()) seen.add(one);
    return seen.has(name);
  };
  await until('mix-2-1 is left out', 60_000, avoided('mix-2-1'));
  await network.kill('mix-1-2');
  // That it takes less than ten seconds is tested in virtual time (test/property/health-blame.test.ts).
  await until('mix-1-2 is left out', 60_000, avoided('mix-1-2'));
  done = true;
  t.strictSame(await downloads, [], 'every byte came');
  await until('a last look', 1_000, avoided('mix-1-2'));
  t.strictSame([...seen].sort(), ['mix-1-2', 'mix-2-1'], 'nobody else is blamed');
});
