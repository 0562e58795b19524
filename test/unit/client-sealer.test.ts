import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { RouteDrawer } from '../../lib/endpoint/routes.ts';
import { Sealer } from '../../lib/endpoint/sealer.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { unix } from '../support/units.ts';

const rng = seededRng(5);
const sphinx = new Sphinx(createCrypto('fastest'), rng);
const address = seededRng(6).bytes(32);

/** One of each kind of packet, over `topology`. */
function sealAll(topology: Topology) {
  const gateway = topology.gateways[0] as NodeEntry;
  const view = { topology, gateway };
  const clock = { wallMs: () => unix(0) };
  const sealer = new Sealer({ sphinx, drawer: new RouteDrawer(rng), rng, clock, address, view });
  const requester = nodeEntry(3, { role: 'requester', gateways: [gateway.id] });
  return {
    forward: sealer.forward(requester, gateway, new Uint8Array(8)),
    drop: sealer.drop(),
    loop: sealer.loop(),
    surb: sealer.surb(),
  };
}

t.test('a key of small order on every route is no route, and nothing is thrown', async (t) => {
  const sound = smallTopology(1);
  for (const [kind, made] of Object.entries(sealAll(sound))) t.ok(made, `${kind} over sound keys`);
  const layers = sound.layers.map((layer) => layer.map((node) => ({ ...node, sphinxKey: () => new Uint8Array(32) })));
  const bad = { ...sound, layers, soundLayers: layers } as unknown as Topology;
  for (const [kind, made] of Object.entries(sealAll(bad))) t.equal(made, undefined, kind);
});
