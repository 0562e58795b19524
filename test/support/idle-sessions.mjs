/**
 * A process of its own that measures on the build what idle sessions cost an exit. Prints JSON: bytes of a session that never did
 * anything, the bytes of a reply block more, those of a session that is idle after a transfer, without its blocks, and those of a session that
 * never did anything and for which somebody keeps its first packet.
 * @module
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DelayLaws } from '../../dist/lib/core/delay-law.js';
import { MemoryBudget } from '../../dist/lib/core/memory-budget.js';
import { systemRng as rng } from '../../dist/lib/core/rng.js';
import { ProxySession, SessionTable } from '../../dist/lib/session/index.js';

const SESSIONS = 1000;
const BUSY_SESSIONS = 100;
const TRANSFER_BYTES = 400_000;
const IDLE_MS = 280_000;
const REPLIES_MS = 1000;
const BLOCK_BYTES = 372;
/** Packets that are kept, for the control. */
let kept;
const delay = new DelayLaws({ meanDelayMs: 15, mixHops: 3 });
const ownPath = () => ({ loops: () => ({ seen: 100, lost: 0 }), usableShare: 1, avoidableFirstHops: 0 });
const nothing = { onData() {}, onFin() {}, onReset() {}, onDrain() {} };

setFlagsFromString('--expose_gc');
const gc = runInNewContext('gc');

function usedBytes() {
  for (let i = 0; i < 4; i++) gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A client whose packets carry as many reply blocks as it has got left to give. */
class Client {
  blocksLeft = 0;

  constructor(table, replyRatePerSecond = 1) {
    this.table = table;
    const mintSurb = () => (this.blocksLeft-- > 0 ? rng.bytes(BLOCK_BYTES) : undefined);
    const rates = { mainRatePerSecond: 50, replyRatePerSecond, downlink: 'steady' };
    const options = { rng, payloadBytes: 2048, delay, ...rates, surbLifeMs: 560_000, ownPath, mintSurb };
    this.proxy = new ProxySession(options, 0);
    this.send(0, 2);
    this.session = [...table.sessions()].at(-1);
    this.answer(60);
    this.send(120, 0);
    this.answer(200);
    if (!this.session.proven) throw new Error('the session has not proven that it receives');
  }

  send(nowMs, blocks) {
    this.blocksLeft = blocks;
    const packet = this.proxy.fill(nowMs) ?? this.proxy.padding(nowMs);
    if (nowMs === 0) kept?.push(packet);
    this.table.receive(packet, nowMs);
  }

  answer(nowMs) {
    const reply = this.session.nextReply(nowMs);
    if (reply !== undefined) this.proxy.receive(reply.plaintext, nowMs);
    return reply !== undefined;
  }
}

function newTable(accept = () => nothing) {
  // As an exit has it: its accounts are part of the cost.
  const memory = new MemoryBudget(4_000_000_000, { nowMs: () => 0 });
  return new SessionTable({ rng, payloadBytes: 2048, terms: () => ({ delay }), accept, maxSessions: 10_000, memory });
}

/** What stands in `table` once `fill` is over, per session, and the blocks held. */
function cost(table, fill) {
  const beforeBytes = usedBytes();
  fill(table);
  const bytes = (usedBytes() - beforeBytes) / table.size;
  const blocks = [...table.sessions()].reduce((sum, session) => sum + session.surbStats().held, 0) / table.size;
  return { bytes, blocks };
}

function idle(count, blocks) {
  return (table) => {
    for (let i = 0; i < count; i++) {
      const client = new Client(table);
      for (let nowMs = 300; nowMs < 2000; nowMs += 20) client.send(nowMs, blocks);
    }
  };
}

/** A download over each, then no stream for minutes: padding comes and goes. */
function afterTransfers(table) {
  const streams = [];
  const clients = Array.from({ length: BUSY_SESSIONS }, () => new Client(table, 100));
  for (const client of clients) {
    let nowMs = 1000;
    const near = { ...nothing, onOpened() {}, onRefused() {} };
    const stream = client.proxy.open({ kind: 'tcp', host: 'example.org', port: 80 }, near, nowMs);
    near.onData = (bytes) => stream.consume(bytes.byteLength, nowMs);
    near.onFin = () => stream.end(nowMs);
    const opened = table.opened;
    for (; table.opened === opened; nowMs += 20) client.send(nowMs, 5);
    const far = table.last;
    far.opened({ host: '192.0.2.1', port: 1 }, nowMs);
    far.write(new Uint8Array(TRANSFER_BYTES), nowMs);
    far.end(nowMs);
    for (; client.proxy.streamsOpen > 0 || client.session.stats().streamsOpen > 0; nowMs += 20) {
      if (nowMs > 60_000) throw new Error('the transfer does not end');
      client.send(nowMs, 5);
      for (let i = 0; i < 3; i++) client.answer(nowMs);
    }
    streams.push(nowMs);
  }
  const fromMs = Math.max(...streams);
  for (const { proxy } of clients) proxy.setReplyRate(1, fromMs);
  for (let nowMs = fromMs; nowMs < fromMs + IDLE_MS; nowMs += REPLIES_MS) {
    for (const client of clients) {
      client.send(nowMs, 5);
      client.session.tick(nowMs);
      client.answer(nowMs);
    }
  }
}

/** A table that notes the stream that came last. */
function busyTable() {
  const table = newTable((stream) => {
    table.opened = (table.opened ?? 0) + 1;
    table.last = stream;
    return { ...nothing, onData: (bytes) => stream.consume(bytes.byteLength, 0) };
  });
  return table;
}

// What is compiled, and shapes of objects, are not to count.
idle(100, 5)(newTable());
idle(100, 0)(newTable());
afterTransfers(busyTable());
const bare = newTable();
const fresh = cost(bare, idle(SESSIONS, 0));
const supplied = newTable();
const stocked = cost(supplied, idle(SESSIONS, 5));
const blockBytes = (stocked.bytes - fresh.bytes) / stocked.blocks;
const busy = busyTable();
const after = cost(busy, afterTransfers);
kept = [];
const control = newTable();
const keptBytes = cost(control, idle(SESSIONS, 0)).bytes;
// All tables must live until now.
const sessions = bare.size + supplied.size + busy.size + control.size + kept.length;
const afterBytes = after.bytes - blockBytes * after.blocks;
process.stdout.write(JSON.stringify({ sessions, freshBytes: fresh.bytes, blockBytes, afterBytes, keptBytes }));
