/** An authority that is alone, on a folder, and a network of one node per layer, one gateway and one exit that announces itself to it. */
import { Archive } from '../../directory/archive.ts';
import { authorityFaults } from '../../directory/readiness.ts';
import { Verifier } from '../../lib/directory/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { admissionOf, authorityOn, OPEN } from './admission.ts';
import { crypto, descriptorOf, draft, epochOf, signedDescriptor, testNetwork } from './signed-documents.ts';
import { monotonic } from './units.ts';
import type { SettableClock } from './virtual-clock.ts';

const network = testNetwork();
const EPOCH_MS = 60_000;
const NODES = ['mixnode', 'mixnode', 'mixnode', 'gateway', 'requester'] as const;

/** An authority in `dir`, and what it writes to its log. */
export async function loneAuthority(dir: string, clock: SettableClock) {
  const said: string[] = [];
  const note = (fields: object, line: string) => void said.push(`${line} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, info: note, warn: note, error: note, child: () => log };
  const verifier = new Verifier(network, crypto);
  const admission = admissionOf(verifier, OPEN, 10, () => monotonic(0));
  const authority = authorityOn(new Archive(dir), admission, clock, { log });
  await authority.open();
  const announce = async (roles: readonly string[] = NODES) => {
    const nowMs = clock.wallMs();
    const epochs = [0, 1, 2].map((more) => epochOf(network, nowMs) + more);
    for (const [n, role] of NODES.entries()) {
      if (!roles.includes(role)) continue;
      const node = draft(role, epochs, n < 3 ? { layer: n + 1 } : {});
      await authority.announce(signedDescriptor(n, descriptorOf(network, n, node, nowMs)), undefined);
    }
  };
  const faults = () =>
    authorityFaults({
      epoch: authority.current()?.consensus.epoch,
      epochMs: EPOCH_MS,
      wallMs: clock.wallMs(),
      signedAhead: authority.signedAhead.until,
    });
  return { authority, announce, faults, said };
}
