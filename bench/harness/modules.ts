/**
 * A build's own modules, loaded from its `dist`. Commits keep them in different places and shapes: an adapter for each kind
 * brings them under one interface. A commit that no adapter fits is refused in one line.
 * @module
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as bytes from '../../lib/core/bytes.ts';
import type * as clock from '../../lib/core/clock.ts';
import type * as rng from '../../lib/core/rng.ts';
import type * as crypto from '../../lib/crypto/index.ts';
import type * as directory from '../../lib/directory/index.ts';
import type * as dial from '../../lib/link/dial.ts';
import type * as link from '../../lib/link/index.ts';
import type * as tls from '../../lib/link/tls.ts';
import type * as sphinx from '../../lib/sphinx/index.ts';
import type * as log from '../../lib/telemetry/log.ts';
import { BenchError, type Build } from './build.ts';

/** What `sphinx` measures. */
export interface SphinxModules {
  readonly crypto: typeof crypto;
  readonly sphinx: typeof sphinx;
  readonly rng: rng.Rng;
}

/** A link to one node, dialled as a node. */
export interface PeerLink {
  isUp(): boolean;
  /** Takes ownership of `packet`. */
  send(packet: Uint8Array): void;
  stop(): Promise<void>;
}

/** Load generators agree on whatever the other end takes. */
const keyExchange = 'any';

export type PeerLinkOptions = Omit<link.PeerLinksOptions, 'keyExchange'> & { readonly target: link.LinkTarget };
export type ClientOptions = Omit<dial.DialOptions, 'context' | 'kind' | 'client' | 'keyExchange'> & {
  readonly identity: link.NodeIdentity;
};

/** What load generators need: packets, and links to real nodes. */
export interface LinkModules extends SphinxModules {
  readonly clock: clock.Clock;
  readonly log: log.Log;
  readonly directory: typeof directory;
  readonly link: Pick<typeof link, 'createIdentity' | 'loadIdentity'>;
  listen(options: Omit<link.ListenOptions, 'keyExchange'>): Promise<link.LinkListener>;
  dialNode(options: PeerLinkOptions): PeerLink;
  /** A client's link, as of a requester: what comes for it comes at once. */
  dialClient(options: ClientOptions): { close(reason: string): void };
}

interface Adapter {
  /** Where `core` and `telemetry` modules are, below `dist/lib`. */
  readonly core: string;
  readonly telemetry: string;
  dialNode(peers: link.PeerLinks, key: bytes.AddressKey): (packet: Uint8Array) => void;
  dialClient(module: typeof dial, options: dial.DialOptions): { close(reason: string): void };
}

/** The present shape: links are found, then sent over; a dial starts by a function. */
const PRESENT: Adapter = {
  core: 'core/',
  telemetry: 'telemetry/',
  dialNode: (peers, key) => (packet) => peers.find(key)?.send(packet),
  dialClient: ({ Dial }, options) => Dial.start(options),
};

/** 7f40e6a and what is near it: `lib` without folders for what is below the protocol. */
const FLAT: Adapter = {
  core: '',
  telemetry: '',
  dialNode(peers, key) {
    const flat = peers as unknown as { send(peer: bytes.AddressKey, packet: Uint8Array): unknown };
    return (packet) => flat.send(key, packet);
  },
  dialClient({ Dial }, options) {
    const Constructor = Dial as unknown as new (options: dial.DialOptions) => { close(reason: string): void };
    return new Constructor(options);
  },
};

function adapterOf({ root, name }: Build): Adapter {
  const has = (path: string) => existsSync(join(root, 'dist/lib', path));
  if (has('core/rng.js')) return PRESENT;
  if (has('rng.js')) return FLAT;
  throw new BenchError(`no adapter knows the modules of ${name}: add one to bench/harness/modules.ts`);
}

function load<Module>({ root }: Build, path: string): Promise<Module> {
  return import(pathToFileURL(join(root, 'dist/lib', path)).href) as Promise<Module>;
}

export async function sphinxModules(build: Build): Promise<SphinxModules> {
  const { core } = adapterOf(build);
  const { systemRng } = await load<typeof rng>(build, `${core}rng.js`);
  return {
    crypto: await load<typeof crypto>(build, 'crypto/index.js'),
    sphinx: await load<typeof sphinx>(build, 'sphinx/index.js'),
    rng: systemRng,
  };
}

export async function linkModules(build: Build): Promise<LinkModules> {
  const adapter = adapterOf(build);
  const { addressKeyOf } = await load<typeof bytes>(build, `${adapter.core}bytes.js`);
  const links = await load<typeof link>(build, 'link/index.js');
  const dials = await load<typeof dial>(build, 'link/dial.js');
  const { secureOptionsOf } = await load<typeof tls>(build, 'link/tls.js');
  const { createSecureContext } = await import('node:tls');
  return {
    ...(await sphinxModules(build)),
    clock: (await load<typeof clock>(build, `${adapter.core}clock.js`)).systemClock,
    log: (await load<typeof log>(build, `${adapter.telemetry}log.js`)).silentLog,
    directory: await load<typeof directory>(build, 'directory/index.js'),
    link: links,
    listen: (options) => links.listenLinks({ ...options, keyExchange }),
    dialNode({ target, ...options }) {
      const addressKey = addressKeyOf(target.id);
      const peers = new links.PeerLinks({ ...options, keyExchange });
      peers.setPeers([{ ...target, addressKey }]);
      return {
        isUp: () => peers.status()[0]?.state === 'up',
        send: adapter.dialNode(peers, addressKey),
        stop: () => peers.stop(),
      };
    },
    dialClient({ identity, ...options }) {
      const context = createSecureContext(secureOptionsOf(identity, keyExchange));
      const client = { trafficClass: 'standard', clocked: false };
      return adapter.dialClient(dials, { ...options, kind: 'client', client, context, keyExchange });
    },
  };
}
