import t from 'tap';
import { RouteDrawer } from '../../lib/client/routes.ts';
import { Sealer } from '../../lib/client/sealer.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';

const rng = seededRng(5);
const sealer = new Sealer(new Sphinx(createCrypto('fastest'), rng), new RouteDrawer(rng), rng, seededRng(6).bytes(32));

/** One of each kind of packet, over `topology`. */
function sealAll(topology: Topology) {
  const gateway = topology.gateways[0] as NodeEntry;
  const requester = nodeEntry(3, { role: 'requester', gateway: gateway.id });
  return {
    forward: sealer.forward(topology, 0, requester, new Uint8Array(8)),
    drop: sealer.drop(topology, 0),
    loop: sealer.loop(topology, 0, gateway),
    surb: sealer.surb(topology, 0, gateway),
  };
}

t.test('a key of small order on every route is no route, and nothing is thrown', async (t) => {
  const sound = smallTopology(1);
  for (const [kind, made] of Object.entries(sealAll(sound))) t.ok(made, `${kind} over sound keys`);
  const layers = sound.layers.map((layer) => layer.map((node) => ({ ...node, sphinxKey: () => new Uint8Array(32) })));
  const bad = { ...sound, layers, soundLayers: layers } as unknown as Topology;
  for (const [kind, made] of Object.entries(sealAll(bad))) t.equal(made, undefined, kind);
});
