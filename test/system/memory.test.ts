/**
 * The memory of a gateway and of an exit while a thousand others want it. Each is a process of its own in a memory cgroup that
 * kills it beyond its budget and 100 MB; where no cgroup can be made, what the kernel says of the process is held to the same.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MemoryCgroup } from '../support/memory-cgroup.ts';
import { namespaceObstacle } from '../support/network-namespace.ts';

const EXIT_BUDGET_MIB = 64;
/** A thousand connections take most of it. */
const GATEWAY_BUDGET_MIB = 96;
/** The program itself, and what its collector of garbage has not found yet. */
const BESIDE_BYTES = 100e6;
/** The same where nothing bounds it but the machine: the collector takes its time then. */
const BESIDE_UNBOUNDED_BYTES = 150e6;
const FILE_BYTES = 500_000;
const TYPESCRIPT = new URL('../support/typescript.mjs', import.meta.url).href;
const side = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

/** A cgroup for a budget, which ends with `t`; undefined, and said aloud, where there can be none. */
function cgroupFor(t: Test, budgetMiB: number): MemoryCgroup | undefined {
  const group = MemoryCgroup.make(budgetMiB * 2 ** 20 + BESIDE_BYTES);
  if (typeof group !== 'string') {
    t.teardown(() => group.remove());
    return group;
  }
  process.stderr.write(`NO CGROUP HERE (${group}): memory is only LOOKED AT\n`);
  return undefined;
}

/** What `argv` prints as its last line. */
async function resultOf(argv: readonly string[]) {
  const [command = '', ...args] = argv;
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const parts: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => parts.push(part));
  const [code] = await once(child, 'close');
  const last = Buffer.concat(parts).toString().trimEnd().split('\n').at(-1);
  return code === 0 && last !== undefined ? JSON.parse(last) : { ended: code };
}

/** A site that sends `bytes` to everybody. */
async function site(t: Test, bytes: number): Promise<number> {
  const chunk = Buffer.alloc(65_536);
  const server = createServer((socket) => {
    let left = bytes;
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, chunk.byteLength);
        left -= size;
        if (!socket.write(chunk.subarray(0, size))) return;
      }
      socket.end();
    };
    socket.on('error', () => {});
    socket.on('drain', more).resume();
    more();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Pages of files are the kernel's to take back: they are not counted. */
function staysWithin(t: Test, found: Record<string, number>, isBounded: boolean): void {
  const { peakBytes = Number.NaN, fileBytes = Number.NaN, budgetBytes = Number.NaN } = found;
  t.comment(`at most ${Math.round((peakBytes - fileBytes) / 1e6)} MB of its own`, JSON.stringify(found));
  const besideBytes = isBounded ? BESIDE_BYTES : BESIDE_UNBOUNDED_BYTES;
  t.ok(peakBytes - fileBytes <= budgetBytes + besideBytes, `its budget and ${besideBytes / 1e6} MB`);
  t.ok((found.shed ?? 0) > 100, 'others had to let go');
}

t.test('a thousand downloads that stand still take no more of an exit than its budget, and others go on', async (t) => {
  const ports = [await site(t, Number.POSITIVE_INFINITY), await site(t, FILE_BYTES)];
  const group = cgroupFor(t, EXIT_BUDGET_MIB);
  const argv = [process.execPath, side('memory-exit-side.mjs'), EXIT_BUDGET_MIB, ...ports].map(String);
  const found = await resultOf(group?.command(argv) ?? argv);
  t.equal(group?.killed ?? 0, 0, 'it lives');
  staysWithin(t, found, group !== undefined);
  t.ok(found.opened >= 1_000, 'all were opened');
  for (const { end, received } of found.downloads) t.strictSame([end, received], ['finished', FILE_BYTES]);
});

const obstacle = namespaceObstacle();
if (obstacle !== undefined)
  process.stderr.write(`NO NAMESPACE HERE (${obstacle}): the memory of a gateway is NOT TESTED\n`);

t.test(
  'a thousand clients that trickle take no more of a gateway than its budget, and others go on',
  { skip: obstacle === undefined ? false : obstacle },
  async (t) => {
    const group = cgroupFor(t, GATEWAY_BUDGET_MIB);
    const gateway = [process.execPath, side('memory-gateway-child.mjs'), String(GATEWAY_BUDGET_MIB)];
    const driver = ['unshare', '--net', '--', process.execPath, '--import', TYPESCRIPT, side('memory-gateway-side.ts')];
    const found = await resultOf([...driver, ...(group?.command(gateway) ?? gateway)]);
    t.equal(group?.killed ?? 0, 0, 'it lives');
    staysWithin(t, found, group !== undefined);
    t.equal(found.connected, 1_001);
    t.ok(found.honestLives, 'the link of who reads is up');
    t.equal(found.honestReceived, found.honestSent + 1, 'who reads gets everything, behind the hello');
  },
);
