import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { type KeyRingOptions, SphinxKeyRing } from '../../lib/mixing/index.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, unix } from '../support/units.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(11);
const epochMs = 60_000;
const graceMs = epochMs / 6;
/** Middle of epoch 1000. */
const middleMs = 1000 * epochMs + epochMs / 2;

function optionsIn(dir: string, changes: Partial<KeyRingOptions> = {}): KeyRingOptions {
  return { dir, crypto, rng, log: silentLog, epochMs, bootId: 'boot-1', mostPackets: () => 10_000, ...changes };
}

const hexKey = (ring: SphinxKeyRing, epoch: number, wallMs: number) =>
  Buffer.from(ring.publicKey(epochNumber(epoch), unix(wallMs)) ?? []).toString('hex');
const epochsOf = (ring: SphinxKeyRing, wallMs: number) => ring.candidates(unix(wallMs)).map((key) => key.epoch);

t.test('the key of an epoch is accepted from Δ before it to Δ after it, the current one first', (t) => {
  const ring = SphinxKeyRing.open(optionsIn(t.testdir()), unix(middleMs));
  t.strictSame(epochsOf(ring, middleMs), [1000]);
  const endMs = 1001 * epochMs;
  t.strictSame(epochsOf(ring, endMs - graceMs - 1), [1000]);
  t.strictSame(epochsOf(ring, endMs - graceMs), [1000, 1001]);
  t.strictSame(epochsOf(ring, endMs - 1), [1000, 1001]);
  t.strictSame(epochsOf(ring, endMs), [1001, 1000]);
  t.strictSame(epochsOf(ring, endMs + graceMs - 1), [1001, 1000]);
  t.strictSame(epochsOf(ring, endMs + graceMs), [1001]);
  t.end();
});

t.test('keys are made two epochs ahead and stay the same when their time comes', (t) => {
  const ring = SphinxKeyRing.open(optionsIn(t.testdir()), unix(middleMs));
  const ahead = [1000, 1001, 1002].map((epoch) => hexKey(ring, epoch, middleMs));
  t.equal(new Set(ahead).size, 3);
  t.equal(hexKey(ring, 1003, middleMs), '', 'no further');
  const laterMs = middleMs + 2 * epochMs;
  t.equal(hexKey(ring, 1002, laterMs), ahead[2]);
  const active = ring.candidates(unix(laterMs))[0];
  t.equal(Buffer.from(crypto.x25519Base(active?.secret ?? new Uint8Array(32))).toString('hex'), ahead[2]);
  t.end();
});

t.test('an old key is erased with its journal, from memory and from disk', (t) => {
  const dir = t.testdir();
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  const secret = ring.candidates(unix(middleMs))[0]?.secret as Uint8Array;
  const hex = Buffer.from(secret).toString('hex');
  t.ok(readFileSync(join(dir, 'sphinx-keys.json'), 'utf8').includes(hex));
  t.ok(existsSync(join(dir, 'replay-1000.tags')));
  ring.advance(unix(1001 * epochMs + graceMs));
  t.ok(secret.every((byte) => byte === 0));
  t.notOk(readFileSync(join(dir, 'sphinx-keys.json'), 'utf8').includes(hex));
  t.notOk(existsSync(join(dir, 'replay-1000.tags')));
  t.end();
});

t.test('key file and journal are for the owner only', { skip: process.platform === 'win32' }, (t) => {
  const dir = join(t.testdir(), 'deep');
  SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  t.equal(statSync(dir).mode & 0o077, 0);
  for (const file of readdirSync(dir)) t.equal(statSync(join(dir, file)).mode & 0o077, 0, file);
  t.end();
});

/** A ring that accepted one tag under key 1000, then was killed (`flush`) or stopped (`close`). */
function usedRing(t: Test, end: 'flush' | 'close') {
  const dir = t.testdir();
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  const tag = rng.bytes(32);
  t.equal(ring.candidates(unix(middleMs))[0]?.guard.admit(tag), 'fresh');
  const keys = [1000, 1001].map((epoch) => hexKey(ring, epoch, middleMs));
  if (end === 'close') ring.close();
  else t.ok(ring.flush());
  return { dir, tag, keys, journal: join(dir, 'replay-1000.tags') };
}

function checkKept(t: Test, ring: SphinxKeyRing, tag: Uint8Array, keys: readonly string[]) {
  t.strictSame(
    [1000, 1001].map((epoch) => hexKey(ring, epoch, middleMs)),
    keys,
    'keys kept',
  );
  t.equal(ring.candidates(unix(middleMs))[0]?.guard.admit(tag), 'replay', 'the tag is remembered');
  t.equal(ring.replaced, 0);
}

function checkReplaced(t: Test, ring: SphinxKeyRing, keys: readonly string[]) {
  t.not(hexKey(ring, 1000, middleMs), keys[0], 'a new key where packets were accepted');
  t.equal(hexKey(ring, 1001, middleMs), keys[1], 'one never used is kept');
  t.equal(ring.replaced, 1);
}

t.test('killed and restarted in the same boot: keys kept, replays refused', (t) => {
  const { dir, tag, keys } = usedRing(t, 'flush');
  checkKept(t, SphinxKeyRing.open(optionsIn(dir), unix(middleMs + 5)), tag, keys);
  t.end();
});

t.test('killed and restarted after a reboot: the used key is replaced', (t) => {
  const { dir, keys } = usedRing(t, 'flush');
  checkReplaced(t, SphinxKeyRing.open(optionsIn(dir, { bootId: 'boot-2' }), unix(middleMs)), keys);
  t.end();
});

t.test('no boot id counts as a reboot', (t) => {
  const { dir, keys } = usedRing(t, 'flush');
  checkReplaced(t, SphinxKeyRing.open(optionsIn(dir, { bootId: undefined }), unix(middleMs)), keys);
  t.end();
});

t.test('stopped cleanly and restarted after a reboot: keys kept, once', (t) => {
  const { dir, tag, keys } = usedRing(t, 'close');
  checkKept(t, SphinxKeyRing.open(optionsIn(dir, { bootId: 'boot-2' }), unix(middleMs)), tag, keys);
  const again = SphinxKeyRing.open(optionsIn(dir, { bootId: 'boot-3' }), unix(middleMs));
  t.equal(again.replaced, 1, 'the second start was not followed by a clean stop');
  t.end();
});

t.test('a closed ring accepts nothing and makes nothing', (t) => {
  const { dir, keys } = usedRing(t, 'flush');
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  ring.close();
  const before = readFileSync(join(dir, 'sphinx-keys.json'), 'utf8');
  for (const wallMs of [0, middleMs, middleMs + 1e9]) {
    t.strictSame(ring.candidates(unix(wallMs)), []);
    t.equal(ring.publicKey(epochNumber(1000), unix(wallMs)), undefined);
  }
  t.equal(readFileSync(join(dir, 'sphinx-keys.json'), 'utf8'), before);
  t.equal(hexKey(SphinxKeyRing.open(optionsIn(dir), unix(middleMs)), 1000, middleMs), keys[0]);
  t.end();
});

t.test('a journal cut short: whole records count, the rest is overwritten', (t) => {
  const { dir, tag, keys, journal } = usedRing(t, 'flush');
  appendFileSync(journal, Buffer.alloc(3, 0xaa));
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  checkKept(t, ring, tag, keys);
  const another = rng.bytes(32);
  t.equal(ring.candidates(unix(middleMs))[0]?.guard.admit(another), 'fresh');
  t.ok(ring.flush());
  const third = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  t.equal(third.candidates(unix(middleMs))[0]?.guard.admit(another), 'replay');
  t.end();
});

const damages: Readonly<Record<string, (journal: string) => void>> = {
  missing: (journal) => rmSync(journal),
  'cut within its header': (journal) => truncateSync(journal, 20),
  'with another magic': (journal) => writeFileSync(journal, Buffer.alloc(40)),
  'of another key': (journal) => {
    const bytes = readFileSync(journal);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writeFileSync(journal, bytes);
  },
};
for (const [name, damage] of Object.entries(damages)) {
  t.test(`a journal ${name}: the key is replaced`, (t) => {
    const { dir, keys, journal } = usedRing(t, 'flush');
    damage(journal);
    checkReplaced(t, SphinxKeyRing.open(optionsIn(dir), unix(middleMs)), keys);
    t.end();
  });
}

t.test('another length of epoch: all keys are replaced, without complaint', (t) => {
  const { dir, keys } = usedRing(t, 'close');
  const ring = SphinxKeyRing.open(optionsIn(dir, { epochMs: 2 * epochMs }), unix(middleMs));
  t.notOk(keys.includes(hexKey(ring, 500, middleMs)));
  t.equal(ring.candidates(unix(middleMs)).length, 1);
  t.end();
});

t.test('a damaged key file is a clear error', (t) => {
  const dir = t.testdir({ 'sphinx-keys.json': '{"format":1' });
  t.throws(() => SphinxKeyRing.open(optionsIn(dir), unix(middleMs)), { code: 'IDENTITY', message: /damaged/ });
  t.end();
});

t.test('a file in place of the folder is a clear error', (t) => {
  const dir = join(t.testdir({ sphinx: '' }), 'sphinx');
  t.throws(() => SphinxKeyRing.open(optionsIn(dir), unix(middleMs)), {
    code: 'IDENTITY',
    message: /cannot use the folder/,
  });
  t.end();
});

t.test('the clock steps back over a turn: the key of that epoch is accepted again only if it was kept', (t) => {
  const ring = SphinxKeyRing.open(optionsIn(t.testdir()), unix(middleMs));
  const tag = rng.bytes(32);
  t.equal(ring.candidates(unix(middleMs))[0]?.guard.admit(tag), 'fresh');
  const first = hexKey(ring, 1000, middleMs);
  const turnMs = 1001 * epochMs;
  t.strictSame(epochsOf(ring, turnMs + 1), [1001, 1000]);
  t.strictSame(epochsOf(ring, turnMs - 1), [1000, 1001]);
  t.equal(ring.candidates(unix(turnMs - 1))[0]?.guard.admit(tag), 'replay');
  ring.advance(unix(turnMs + graceMs)); // now it is erased
  t.strictSame(epochsOf(ring, middleMs), [1000], 'a step far back');
  t.not(hexKey(ring, 1000, middleMs), first, 'gets a new key');
  t.end();
});

t.test('the clock jumps a year ahead and back: no heap of keys', (t) => {
  const dir = t.testdir();
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  for (let jump = 0; jump < 6; jump++) {
    ring.advance(unix(middleMs + jump * 1e10));
    ring.advance(unix(middleMs));
  }
  t.strictSame(epochsOf(ring, middleMs), [1000]);
  const stored = JSON.parse(readFileSync(join(dir, 'sphinx-keys.json'), 'utf8')) as { keys: unknown[] };
  t.ok(stored.keys.length <= 4);
  t.end();
});

const storedKeys = (dir: string) => {
  const stored = JSON.parse(readFileSync(join(dir, 'sphinx-keys.json'), 'utf8')) as { keys: { epoch: number }[] };
  return stored.keys.map(({ epoch }) => epoch).sort();
};

t.test('a clock set far back, or a sleep of epochs: old keys go and new ones come at once, to be announced', (t) => {
  for (const ahead of [-50, 5]) {
    const dir = t.testdir();
    const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
    t.notOk(ring.takeRenewed(), 'the start is announced anyway');
    ring.advance(unix(middleMs + epochMs));
    t.notOk(ring.takeRenewed(), 'a turn adds a key nobody knows yet');
    const epoch = 1000 + ahead;
    const wallMs = middleMs + ahead * epochMs;
    ring.advance(unix(wallMs));
    t.strictSame(epochsOf(ring, wallMs), [epoch]);
    t.strictSame(storedKeys(dir), [epoch, epoch + 1, epoch + 2]);
    t.ok(ring.takeRenewed());
    t.notOk(ring.takeRenewed(), 'once');
  }
  t.end();
});

t.test('a disk that refuses the key file: tried again until the erased key is out of it', (t) => {
  const dir = t.testdir();
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  const erasedMs = 1001 * epochMs + graceMs;
  ring.advance(unix(erasedMs - 1));
  mkdirSync(join(dir, 'sphinx-keys.json.new')); // the draft can not be written, whoever the user is
  ring.advance(unix(erasedMs));
  t.strictSame(storedKeys(dir), [1000, 1001, 1002, 1003]);
  t.strictSame(epochsOf(ring, erasedMs), [1001], 'not accepted all the same');
  rmSync(join(dir, 'sphinx-keys.json.new'), { recursive: true });
  ring.advance(unix(erasedMs + 1000));
  t.strictSame(storedKeys(dir), [1001, 1002, 1003]);
  t.end();
});

t.test('a journal that can not be deleted: the key is erased all the same, and the file when it can be', (t) => {
  const dir = t.testdir();
  const journal = join(dir, 'replay-1000.tags');
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  rmSync(journal);
  mkdirSync(join(journal, 'x'), { recursive: true });
  const erasedMs = 1001 * epochMs + graceMs;
  ring.advance(unix(erasedMs));
  t.strictSame(storedKeys(dir), [1001, 1002, 1003]);
  t.strictSame(epochsOf(ring, erasedMs), [1001], 'the next key is accepted');
  rmSync(journal, { recursive: true });
  writeFileSync(journal, '');
  ring.advance(unix(erasedMs + 1000));
  t.notOk(existsSync(journal));
  t.end();
});

t.test('a journal without a key is deleted at the next start', (t) => {
  const dir = t.testdir({ 'replay-7.tags': '', 'replay-1000.tags.txt': '' });
  SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  t.strictSame(readdirSync(dir).sort(), ['replay-1000.tags', 'replay-1000.tags.txt', 'sphinx-keys.json']);
  t.end();
});

t.test('a key takes what can come in the rest of its time, after a restart beside what its journal has', (t) => {
  const dir = t.testdir();
  const mostPackets = (spanMs: number) => spanMs / 10_000;
  const admit = (ring: SphinxKeyRing, wallMs: number, tag = rng.bytes(32)) =>
    ring.candidates(unix(wallMs))[0]?.guard.admit(tag);
  const ring = SphinxKeyRing.open(optionsIn(dir, { mostPackets }), unix(middleMs));
  const tags = Array.from({ length: 5 }, () => rng.bytes(32));
  t.strictSame(
    tags.map((tag) => admit(ring, middleMs, tag)),
    ['fresh', 'fresh', 'fresh', 'fresh', 'replay-full'],
    'four in 40 s',
  );
  ring.close();
  const laterMs = middleMs + 20_000;
  const again = SphinxKeyRing.open(optionsIn(dir, { mostPackets }), unix(laterMs));
  t.equal(admit(again, laterMs, tags[0]), 'replay');
  t.strictSame(
    [1, 2, 3].map(() => admit(again, laterMs)),
    ['fresh', 'fresh', 'replay-full'],
    'two in 20 s',
  );
  t.end();
});

t.test('an accepted tag is on disk when flush says so, and a full disk is not a flush', (t) => {
  const dir = t.testdir();
  const ring = SphinxKeyRing.open(optionsIn(dir), unix(middleMs));
  const guard = ring.candidates(unix(middleMs))[0]?.guard;
  const journal = join(dir, 'replay-1000.tags');
  const emptyBytes = statSync(journal).size;
  guard?.admit(rng.bytes(32));
  guard?.admit(rng.bytes(32));
  t.equal(statSync(journal).size, emptyBytes, 'pending');
  t.ok(ring.flush());
  t.equal(statSync(journal).size, emptyBytes + 16);
  guard?.journal.close(); // every write fails from here on
  t.equal(guard?.admit(rng.bytes(32)), 'fresh');
  t.notOk(ring.flush());
  let verdict: string | undefined;
  for (let n = 0; n < 9000 && verdict !== 'journal'; n++) verdict = guard?.admit(rng.bytes(32));
  t.equal(verdict, 'journal', 'refuses when the pending tags have no room');
  t.equal(guard?.journal.pendingTags, 8192);
  t.end();
});

t.test('a disk that refuses a new key: logged, the old keys go on, and later it works', (t) => {
  const dir = join(t.testdir(), 'keys');
  mkdirSync(dir);
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (_fields, message) => errors.push(message) };
  const ring = SphinxKeyRing.open(optionsIn(dir, { log }), unix(middleMs));
  const openMs = 1001 * epochMs - graceMs;
  // a folder in place of the new key's journal: creating the file fails whoever the user is
  mkdirSync(join(dir, 'replay-1001.tags', 'x'), { recursive: true });
  t.strictSame(epochsOf(ring, openMs), [1000]);
  t.equal(errors.length, 1);
  t.strictSame(epochsOf(ring, openMs + 10), [1000]);
  t.equal(errors.length, 1, 'not tried for each packet');
  rmSync(join(dir, 'replay-1001.tags'), { recursive: true });
  t.strictSame(epochsOf(ring, openMs + 1000), [1000, 1001]);
  t.end();
});
