/**
 * Hosts of a test: each a network namespace with a cable to one bridge, and addresses of its own. For a process that has its network
 * namespace and its mounts to itself (`IN_NAMESPACE`): the bridge is in its network, the names of the namespaces in its mounts. So nothing
 * of it touches the machine's network, and all of it goes when the process does, however that ends.
 * @module
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { joinHostPort } from '../../lib/net/address.ts';

const BRIDGE = 'lan';
/** Addresses as those of the internet: what a private network may do is another matter. */
const NET = { 4: '11.7.0.', 6: '2600:7::' } as const;
/** Who makes the hosts has these numbers: sites are on one, relays on another, for exits connect to no address of a node. */
const OWN = { sites: 250, relays: 251 } as const;

type Family = keyof typeof NET;

const ip = (text: string) => execFileSync('ip', text.split(' '), { stdio: ['ignore', 'ignore', 'inherit'] });

/** The address of the number `n`. */
const addressOf = (family: Family, n: number): string => `${NET[family]}${family === 4 ? n : n.toString(16)}`;

function addAddresses(where: string, device: string, n: number): void {
  ip(`${where}addr add ${addressOf(4, n)}/16 dev ${device}`);
  ip(`${where}-6 addr add ${addressOf(6, n)}/64 dev ${device} nodad`);
}

/** A machine on the bridge. */
export class Host {
  constructor(
    readonly name: string,
    readonly number: number,
  ) {
    ip(`netns add ${name}`);
    ip(`link add ${this.#cable} type veth peer name eth0 netns ${name}`);
    ip(`link set ${this.#cable} master ${BRIDGE} up`);
    addAddresses(`-n ${name} `, 'eth0', number);
    for (const device of ['lo', 'eth0']) ip(`-n ${name} link set ${device} up`);
  }

  get #cable(): string {
    return `cable${this.number}`;
  }

  address(family: Family = 4): string {
    return addressOf(family, this.number);
  }

  /** Its address and `port` as one word. */
  at(port: number, family: Family = 4): string {
    return joinHostPort(this.address(family), port);
  }

  /** Runs a program on it. The process is the program: a signal to it needs no other. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.name, command, ...args], options);
  }

  /** Pulls the cable, or plugs it in. */
  setLink(state: 'up' | 'down'): void {
    ip(`link set ${this.#cable} ${state}`);
  }
}

/** The bridge. One a process. */
export class Lan {
  readonly #hosts = new Map<string, Host>();

  constructor() {
    mkdirSync('/run/netns', { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'none', '/run/netns']);
    ip('link set lo up');
    ip(`link add ${BRIDGE} type bridge`);
    for (const n of Object.values(OWN)) addAddresses('', BRIDGE, n);
    ip(`link set ${BRIDGE} up`);
  }

  /** The host of that name, which is made when there is none. */
  host(name: string): Host {
    const host = this.#hosts.get(name) ?? new Host(name, this.#hosts.size + 1);
    this.#hosts.set(name, host);
    return host;
  }

  /** An address of the process that made the bridge. */
  ownAddress(what: keyof typeof OWN, family: Family = 4): string {
    return addressOf(family, OWN[what]);
  }
}
