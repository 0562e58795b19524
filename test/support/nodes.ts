import { addressKeyOf, type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { seededRng } from './seeded-rng.ts';

/** A node of a made-up topology: enough of one for route choice and evidence. */
export function nodeEntry(seed: number, fields: Partial<NodeEntry> & Pick<NodeEntry, 'role'>): NodeEntry {
  const address = seededRng(seed).bytes(32);
  const id = toHex(address) as IdentityHex;
  return {
    id,
    address,
    addressKey: addressKeyOf(id),
    name: `node-${seed}`,
    host: '127.0.0.1',
    port: 4000 + seed,
    sphinxKey: () => seededRng(seed + 1_000_000).bytes(32),
    ...fields,
  };
}

/** `mixesPerLayer` mixes in each of three layers and two gateways; families by `familyOf(layer, index)`. */
export function smallTopology(
  mixesPerLayer: number,
  familyOf: (layer: number, index: number) => string | undefined = () => undefined,
): Topology {
  const layers = [1, 2, 3].map((layer) =>
    Array.from({ length: mixesPerLayer }, (_, index) => {
      const family = familyOf(layer, index);
      return nodeEntry(layer * 100 + index, {
        role: 'mixnode',
        layer: layer as 1 | 2 | 3,
        ...(family === undefined ? {} : { family }),
      });
    }),
  );
  const gateways = [nodeEntry(1, { role: 'gateway' }), nodeEntry(2, { role: 'gateway' })];
  const nodes = [...layers.flat(), ...gateways];
  const byId = (id: IdentityHex) => nodes.find((node) => node.id === id);
  return {
    params: DEFAULT_PARAMS,
    epoch: 0,
    layers,
    gateways,
    soundLayers: layers,
    soundGateways: gateways,
    requesters: [],
    nodes,
    byId,
  } as unknown as Topology;
}
