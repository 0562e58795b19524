import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { handshakeFor } from '../../proxy/front/handshake/handshake.ts';
import type { HandshakeStep } from '../../proxy/front/handshake/steps.ts';

const byte = fc.integer({ min: 0, max: 255 });
const blob = (maxLength: number) => fc.uint8Array({ maxLength });

const greeting = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((methods) => [5, methods.length, ...methods]);
const login = fc
  .tuple(blob(255), blob(255))
  .map(([user, secret]) => [1, user.length, ...user, secret.length, ...secret]);
const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => [1, ...bytes]),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => [4, ...bytes]),
  fc.stringMatching(/^[a-z0-9.-]{0,255}$/).map((name) => [3, name.length, ...Buffer.from(name)]),
);
const command = fc.constantFrom(1, 1, 1, 2, 3, 0xf0, 0xf1, 7);
const request = fc.tuple(command, address, byte, byte).map(([cmd, addr, ...port]) => [5, cmd, 0, ...addr, ...port]);

const hello = fc.oneof(
  fc.constantFrom([5, 1, 0], [5, 2, 0, 1]),
  fc.tuple(fc.constantFrom([5, 1, 2], [5, 2, 0, 2], [5, 4, 9, 2, 1, 0]), login).map((parts) => parts.flat()),
);
const loose = fc.tuple(greeting, login, blob(30)).map((parts) => parts.flatMap((part) => [...part]));

const userId = fc.uint8Array({ maxLength: 300 }).map((bytes) => bytes.filter((one) => one !== 0));
const socks4 = fc
  .tuple(fc.constantFrom(1, 1, 1, 2), fc.constantFrom([0, 0, 0, 7], [192, 0, 2, 1], [0, 0, 0, 0]), userId, byte, byte)
  .map(([cmd, ip, user, ...port]) => [4, cmd, ...port, ...ip, ...user, 0, ...(ip[3] === 7 ? [97, 46, 98, 0] : [])]);

/** Whole conversations of all protocols, early data glued to them: proper ones, and ones that only start well. */
const conversation = fc
  .tuple(
    fc.oneof({ weight: 4, arbitrary: fc.tuple(hello, request).map((parts) => parts.flat()) }, loose, {
      weight: 2,
      arbitrary: socks4,
    }),
    blob(40),
  )
  .map(([handshake, early]) => Uint8Array.from([...handshake, ...early]));

/** The outcome with early data gathered: bytes that follow a request are early data however they arrive. */
function outcome(chunks: readonly Uint8Array[]) {
  const handshake = handshakeFor(chunks[0]?.[0] ?? 5);
  const steps: HandshakeStep[] = [];
  let early = Buffer.alloc(0);
  for (const chunk of chunks) {
    const done = steps.some((step) => step.kind !== 'send');
    if (done) {
      if (steps.some((step) => step.kind === 'request')) early = Buffer.concat([early, chunk]);
      continue;
    }
    for (const step of handshake.push(chunk)) {
      if (step.kind === 'request') early = Buffer.concat([early, step.early]);
      steps.push(step.kind === 'request' ? { ...step, early: new Uint8Array(0) } : step);
    }
  }
  return { steps, early: early.toString('hex') };
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % Math.max(1, bytes.byteLength)))].sort((a, b) => a - b);
  const edges = [0, ...places.filter((place) => place > 0), bytes.byteLength];
  return edges.slice(1).map((end, i) => bytes.slice(edges[i], end));
}

t.test('any split of the bytes gives the same result', async (t) => {
  const seen = { request: 0, refuse: 0 };
  fc.assert(
    fc.property(conversation, fc.array(fc.nat(1200), { maxLength: 12 }), (bytes, cuts) => {
      const whole = outcome([bytes]);
      const last = whole.steps.at(-1)?.kind;
      if (last === 'request' || last === 'refuse') seen[last] += 1;
      assert.deepEqual(outcome(split(bytes, cuts)), whole);
      assert.deepEqual(outcome([...bytes].map((one) => Uint8Array.of(one))), whole, 'byte by byte');
    }),
    { numRuns: 300, seed: 7 },
  );
  t.ok(seen.request > 30 && seen.refuse > 30, `both kinds were met: ${JSON.stringify(seen)}`);
});

t.test('no bytes make it throw, it says at most one last word, and holds no more than its bound', async (t) => {
  const start = fc.constantFrom([5, 1, 0], [5, 1, 2, 1], [4, 1], [4, 1, 0, 80, 0, 0, 0, 1]);
  fc.assert(
    fc.property(
      start,
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 10 }),
      (first, chunks) => {
        const handshake = handshakeFor(first[0] ?? 0);
        const steps = [Uint8Array.from(first), ...chunks].flatMap((chunk) => handshake.push(chunk));
        const last = steps.findIndex((step) => step.kind !== 'send');
        assert.ok(last === -1 || last === steps.length - 1);
      },
    ),
    { numRuns: 500, seed: 11 },
  );
  for (const [first, bound] of [
    [[4, 1, 0, 80, 1, 2, 3, 4], 8 + 256],
    [[4, 1, 0, 80, 0, 0, 0, 4, 0], 9 + 256],
  ] as const) {
    const handshake = handshakeFor(first[0] ?? 0);
    handshake.push(Uint8Array.from(first));
    let taken: number = first.length;
    while (handshake.push(Uint8Array.of(97)).length === 0 && taken < 20_000) taken += 1;
    t.equal(taken + 1, bound, 'the SOCKS4 field is refused as soon as it is too long');
  }
});
