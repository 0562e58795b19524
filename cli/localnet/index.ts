/**
 * `mixsocks localnet`: a whole network on this machine, each node its own process. Starts them in order, says when
 * requests can succeed, reports a node that dies, and takes all of them along when it ends.
 * @module
 */

import { loadConfig } from '../../lib/config/config.ts';
import { every, systemClock, type Timer } from '../../lib/core/clock.ts';
import type { Environment, Flags } from '../role-config.ts';
import { untilReady } from '../status.ts';
import { stopRequested } from '../stop-signal.ts';
import { NodeChild } from './child.ts';
import { LocalnetConfig } from './config.ts';
import { type LocalNetwork, prepareFolder } from './folder.ts';
import { HOST, type PlannedNode } from './plan.ts';
import { checkFree } from './ports.ts';
import { clearReadyFile, type ReadyFile, readyNode, readyText, writeReadyFile } from './ready.ts';

/** Runs a network until it is asked to stop; resolves with the exit code. */
export async function runLocalnet(flags: Flags, env: Environment): Promise<number> {
  const stop = stopRequested();
  const config = loadConfig(LocalnetConfig, { flags, env });
  for (const port of [config.socksPort, config.statusPort]) await checkFree(HOST, port);
  if (config.readyFile !== undefined) await clearReadyFile(config.readyFile);
  const network = new RunningNetwork(await prepareFolder(config), config);
  try {
    await Promise.race([network.start(), stop]);
    await stop;
    return 0;
  } finally {
    await network.stop();
  }
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** How often logs are looked at whether they have grown too large. */
const LOG_CHECK_MS = 10_000;

/** The processes of a local network. */
class RunningNetwork {
  readonly #children: NodeChild[] = [];
  #logCheck: Timer | undefined;
  #stopping = false;

  constructor(
    readonly network: LocalNetwork,
    readonly config: LocalnetConfig,
  ) {}

  /** Resolves when requests can succeed and it has been announced; rejects when a node ends before. */
  async start(): Promise<void> {
    const { nodes, dir, notice } = this.network;
    say(`starting ${nodes.length} nodes in ${dir}`);
    if (notice !== undefined) say(notice);
    this.#logCheck = every(systemClock, LOG_CHECK_MS, () => {
      for (const child of this.#children) child.log.bound();
    });
    await this.#startRoles('directory'); // first: who finds it at once needs no second try
    await this.#startRoles('mixnode', 'gateway', 'requester', 'proxy');
    say('all nodes run; waiting for the first consensus and a way through the network');
    const ready = this.#readyFile();
    const death = Promise.race(this.#children.map((child) => child.death()));
    await Promise.race([untilReady(ready.status), death]);
    for (const child of this.#children) void child.exited.then(({ message }) => this.#report(message));
    if (this.#stopping) return;
    if (this.config.readyFile !== undefined) await writeReadyFile(this.config.readyFile, ready);
    say(readyText(ready));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#logCheck?.cancel();
    await Promise.all(this.#children.map((child) => child.stop()));
    await this.network.release();
  }

  async #startRoles(...roles: readonly PlannedNode['role'][]): Promise<void> {
    if (this.#stopping) return;
    const started = this.network.nodes.filter(({ role }) => roles.includes(role)).map((node) => new NodeChild(node));
    this.#children.push(...started);
    await Promise.all(started.map((child) => child.running()));
  }

  #report(how: string): void {
    if (!this.#stopping) say(`${how}; it is not restarted`);
  }

  #readyFile(): ReadyFile {
    const nodes = this.#children.map((child) => readyNode(child.node, child.pid));
    const proxy = this.network.nodes.find(({ role }) => role === 'proxy');
    return {
      socks: `${HOST}:${proxy?.ports.listen}`,
      status: `http://${HOST}:${proxy?.ports.metrics}`,
      network: this.network.networkFile,
      nodes,
    };
  }
}
