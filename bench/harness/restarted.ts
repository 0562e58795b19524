/**
 * Some processes of a network under another configuration: a local network is started, stopped, and of its nodes only those that are
 * wanted are started again from their folders. Load generators take the places of the others.
 * @module
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadyFile, ReadyNode } from '../../cli/localnet/ready.ts';
import { type Build, hasOption } from './build.ts';
import { Localnet, STANDARD, startProgram, until } from './localnet.ts';
import { inScope, progress, type Scope } from './scope.ts';

const START_TIMEOUT_MS = 60_000;
const DIRECTORY = 'directory-1';

type Change = (config: object) => object;

export interface RestartOptions {
  /** Of `localnet`. */
  readonly flags: readonly string[];
  /** The nodes that start again, with what to change of the configuration that each has; the directory needs no mention. */
  readonly changes: Readonly<Record<string, Change>>;
}

export class RestartedNetwork {
  readonly #pids: ReadonlyMap<string, number>;

  private constructor(
    readonly ready: ReadyFile,
    pids: ReadonlyMap<string, number>,
  ) {
    this.#pids = pids;
  }

  /** Resolves when each node that starts again has a consensus of the changed network; all end with `scope`. */
  static async start(scope: Scope, build: Build, { flags, changes }: RestartOptions): Promise<RestartedNetwork> {
    const dir = join(scope.testdir(), 'net');
    progress('starting a network, and some of it again');
    const ready = await inScope(
      async (first) => (await Localnet.start(first, build, STANDARD, { flags: [...flags, '--dir', dir] })).ready,
    );
    const pids = new Map<string, number>();
    const files: string[] = [];
    // Load generators, which the authority cannot reach, take the places of nodes.
    const unreachable = hasOption(build, 'directory', '--check-reachability') ? { checkReachability: false } : {};
    const all: RestartOptions['changes'] = { [DIRECTORY]: () => ({}), ...changes };
    for (const [name, change] of Object.entries(all)) {
      const node = ready.nodes.find((one) => one.name === name);
      if (node === undefined) throw new Error(`no node ${name} in the network`);
      changeConfig(node, (config) => ({ ...change(config), ...(name === DIRECTORY ? unreachable : {}) }));
      files.push(...(name === DIRECTORY ? [] : [join(node.dir, 'consensus.json')]));
      // What was agreed on before is forgotten; descriptors and keys are kept.
      for (const known of ['consensus', 'consensus.json'])
        rmSync(join(node.dir, known), { recursive: true, force: true });
      pids.set(name, startProgram(scope, node.argv.slice(1)).pid ?? 0);
    }
    await until('nodes have a consensus', START_TIMEOUT_MS, () => files.every((file) => existsSync(file)));
    return new RestartedNetwork(ready, pids);
  }

  node(name: string): ReadyNode {
    return this.ready.nodes.find((one) => one.name === name) as ReadyNode;
  }

  /** Of a node that was started again. */
  pidOf(name: string): number {
    return this.#pids.get(name) ?? 0;
  }

  /** Text of the consensus that a node has. */
  consensusOf(name: string): string {
    return readFileSync(join(this.node(name).dir, 'consensus.json'), 'utf8');
  }
}

function changeConfig({ dir }: ReadyNode, change: Change): void {
  const file = join(dir, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, ...change(config) }));
}
