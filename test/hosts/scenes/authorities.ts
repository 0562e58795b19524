/** One authority of four is at fault: away, while nodes come, die and have to go; or a liar. */
import { fileURLToPath } from 'node:url';
import { Archive } from '../../../directory/archive.ts';
import { auditText } from '../../../directory/voting/audit.ts';
import { loadNetworkFile } from '../../../lib/directory/index.ts';
import { until } from '../../support/localnet.ts';
import type { HostedNetwork } from '../hosted-network.ts';
import { command, PATIENCE_MS, PORTS } from '../role.ts';
import { epochNow, listed, type Scene, untilMoreComes } from '../world.ts';

/** What `mixsocks directory audit` says at one authority of the consensus of `epoch`; empty when it has none. */
async function audit(network: HostedNetwork, name: string, epoch: number): Promise<string> {
  const archive = new Archive(network.role(name).dir);
  const file = await loadNetworkFile(network.networkFile);
  return auditText({ network: file, archive, expelled: new Set(), epoch }).catch(() => '');
}

/** Waits until the audit of one of the epochs says of the vote of another authority what is meant. */
async function untilVote(network: HostedNetwork, other: string, says: string, fromEpoch = epochNow()): Promise<void> {
  const line = new RegExp(`${network.role(other).identity}  ${says}$`, 'm');
  await until(`${other}: ${says}`, PATIENCE_MS, async () => {
    for (let epoch = fromEpoch; epoch <= epochNow() + 1; epoch += 1) {
      if (line.test(await audit(network, 'authority-1', epoch))) return true;
    }
    return false;
  });
}

/** With one authority away, two are enough to have a node out: no more than half list it. */
const ENOUGH = ['authority-1', 'authority-3'];

async function expel(network: HostedNetwork, node: string, ...more: readonly string[]): Promise<void> {
  for (const name of ENOUGH) await command(['directory', 'expel', node, ...more, '--dir', network.role(name).dir]);
}

export const authorityAway: Scene = async (t, world) => {
  const { network } = world;
  await network.role('authority-2').stop();
  const joining = await network.addNode('mix-1-4');
  await joining.untilReady();
  t.ok((await listed(network)).includes('mix-1-4'), 'a node with a token joins');
  await untilVote(network, 'authority-2', 'no vote came in time');

  await expel(network, 'mix-2-3');
  await joining.stop('SIGKILL');
  const gone = ['mix-1-4', 'mix-2-3'];
  await until('both are out', PATIENCE_MS, async () => {
    const names = await listed(network);
    return names.length > 0 && gone.every((name) => !names.includes(name));
  });
  t.not(await network.role('mix-2-3').lacks(), '', 'who was expelled is not ready');
  await untilMoreComes(world);

  await expel(network, 'mix-2-3', '--undo');
  await joining.start();
  await network.role('authority-2').start();
  await network.untilReady('authority-2', ...gone);
  await untilVote(network, 'authority-2', 'lists \\d+ nodes');
  const all = (['mixnode', 'gateway', 'requester'] as const).flatMap((role) => network.names(role));
  await until('all are in again, also at the authority that was away', PATIENCE_MS, async () => {
    const names = new Set(await listed(network, 'authority-2'));
    return all.every((name) => names.has(name));
  });
};

const LIAR = 'authority-4';
const PROGRAM = fileURLToPath(new URL('../lying-authority.ts', import.meta.url));

/** A hacked authority: from here on it lies. What comes of it is looked at when other things have happened meanwhile. */
export const authorityLies: Scene = async (t, world) => {
  const { network } = world;
  const liar = network.role(LIAR);
  const url = `http://${network.role('authority-1').host.at(PORTS.directory)}`;
  await liar.stop();
  await liar.start(['--import=tsx', PROGRAM, liar.dir, url, liar.host.address(6), String(PORTS.directory)]);
  world.liesFromEpoch = epochNow() + 1;
  t.pass('it answers in the place of the honest one');
};

/** What the liar does in one epoch or another, as the audit names it. */
const LIES = {
  'signed several votes, of which none counts': 'it signs several votes, and none counts',
  'no vote came in time': 'it withholds its vote',
  'lists \\d+ nodes': 'it lists a node that there is not, with other parameters',
};

/** Whatever it did, the consensus is the one of the others, who name it. */
export const liarIsNamed: Scene = async (t, world) => {
  const { network } = world;
  for (const [says, title] of Object.entries(LIES)) {
    await untilVote(network, LIAR, says, world.liesFromEpoch);
    t.pass(title);
  }
  let consensus = await network.consensus();
  const names = () => consensus?.nodes.map(({ name }) => name) ?? [];
  await until('who is left out by the liar is in', PATIENCE_MS, async () => {
    consensus = await network.consensus();
    return names().includes('mix-3-1');
  });
  t.notOk(names().includes('mix-invented'), 'who was invented is not');
  t.equal(consensus?.params.meanDelayMs, 40, 'parameters are those of the others');
  const { identity } = network.role(LIAR);
  for (const name of ['authority-1', 'authority-2', 'authority-3']) {
    const log = network.role(name).log();
    for (const kind of ['votes', 'consensuses']) {
      const said = log.split('\n').filter((line) => line.includes(`an authority signed two ${kind} for one epoch`));
      t.ok(said.length > 0, `${name} has found two ${kind}`);
      t.ok(
        said.every((line) => line.includes(identity)),
        'and names the liar, and nobody else',
      );
    }
  }
  const { stdout } = await command(['directory', 'audit', '--dir', network.role('authority-1').dir]);
  const accused = stdout.split('\n').filter((line) => line.startsWith('evidence'));
  t.ok(accused.length > 0 && accused.every((line) => line.includes(identity)), `the audit names it: ${accused}`);
  await untilMoreComes(world);
};
