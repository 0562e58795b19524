/**
 * A thousand clients of a gateway that read in trickles, and one that reads; run by test/system/memory.test.ts in a network
 * namespace of its own, where the kernel keeps little for a connection: `tsx memory-gateway-side.ts COMMAND...`, with the command
 * that runs the gateway (memory-gateway-child.mjs). Prints what it has found as JSON.
 * @module
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { packetBytes } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { frameShape } from '../../lib/link/framing.ts';
import { encodeHello, frameBytesOf } from '../../lib/link/hello.ts';
import { createIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import { PEER_OPTIONS, secureOptionsOf } from '../../lib/link/tls.ts';
import { fileBytes, peakBytes } from './memory-cgroup.ts';

const CLIENTS = 1_000;
const AT_ONCE = 50;
/** Slower than a busy gateway sends. */
const TRICKLE_MS = 1000;
/** Until what was sent to the one that reads counts as lost. */
const MOST_WAITS = 60;
const KERNEL_BYTES = '4096 8192 16384';
const TERMS = { networkId: new Uint8Array(32).fill(7), packetBytes: packetBytes(2048) };
const SHAPE = frameShape(frameBytesOf('client', TERMS.packetBytes));

/** What the kernel keeps for a connection is no memory of the process, and would take most of what is sent. */
function boundKernel(): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  for (const name of ['tcp_wmem', 'tcp_rmem']) writeFileSync(`/proc/sys/net/ipv4/${name}`, KERNEL_BYTES);
}

/** A link of which only the answer to its hello was read. */
async function link(identity: NodeIdentity, port: number): Promise<TLSSocket> {
  const secureContext = createSecureContext(secureOptionsOf(identity, 'x25519'));
  // What is not read waits in the gateway, or in the kernel, and not here.
  const own = { servername: '', secureContext, ...PEER_OPTIONS, highWaterMark: 1 };
  const socket = connect({ host: '127.0.0.1', port, ...own });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const hello = Buffer.alloc(SHAPE.wireBytes);
  encodeHello('client', TERMS, { trafficClass: 'standard', clocked: false }).copy(hello);
  socket.setMaxSendFragment(SHAPE.recordBytes);
  socket.write(hello);
  const refused = once(socket, 'close').then(() => Promise.reject(new Error('the gateway refuses a client')));
  refused.catch(() => {});
  await Promise.race([once(socket, 'readable'), refused]);
  return socket;
}

boundKernel();
const [program = '', ...args] = process.argv.slice(2);
const gateway = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
process.once('exit', () => gateway.kill('SIGKILL'));
const lines = createInterface(gateway.stdout)[Symbol.asyncIterator]();
const line = async () => String((await lines.next()).value);
await line(); // its identity: there is only one to talk to
const port = Number(await line());

const trickling: TLSSocket[] = [];
for (let n = 0; n < CLIENTS; n += AT_ONCE) {
  const some = Array.from({ length: AT_ONCE }, async () => link(await createIdentity(systemRng), port));
  trickling.push(...(await Promise.all(some)));
}
const honest = await createIdentity(systemRng);
let received = 0;
(await link(honest, port)).on('data', (bytes: Buffer) => {
  received += bytes.byteLength;
});
const trickle = setInterval(() => {
  for (const socket of trickling) socket.read(1024);
}, TRICKLE_MS);
gateway.stdin.write(`${honest.id}\n`);
const found = JSON.parse(await line());
clearInterval(trickle);
const due = (found.honestSent + 1) * SHAPE.wireBytes; // what has left the gateway may be on its way
for (let waits = 0; received < due && waits < MOST_WAITS; waits++) await sleep(TRICKLE_MS);
const pid = gateway.pid ?? 0;
const ours = { honestReceived: received / SHAPE.wireBytes, peakBytes: peakBytes(pid), fileBytes: fileBytes(pid) };
gateway.stdin.end();
await once(gateway, 'exit');
process.stdout.write(`${JSON.stringify({ ...found, ...ours })}\n`);
process.exit(0);
