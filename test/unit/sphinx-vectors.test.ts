/**
 * The bundled vectors, from an independent implementation, on every backend; and the command that checks such files.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { asBuffer, toHex } from '../../lib/core/bytes.ts';
import { rngFrom, systemRng } from '../../lib/core/rng.ts';
import { createCrypto, loadCrypto } from '../../lib/crypto/index.ts';
import { nobleBackend } from '../../lib/crypto/noble.ts';
import { nodeBackend } from '../../lib/crypto/node.ts';
import { forwardHeader } from '../../lib/sphinx/header.ts';
import { Sphinx, unpad } from '../../lib/sphinx/index.ts';
import { expandSecret } from '../../lib/sphinx/keys.ts';
import { lionessDecrypt, lionessEncrypt } from '../../lib/sphinx/lioness.ts';
import { padInto } from '../../lib/sphinx/payload.ts';
import { encodeSurb } from '../../lib/sphinx/surb.ts';
import type { GammaKey } from '../../lib/sphinx/types.ts';
import { checkEntry } from '../vectors/check.ts';
import { runVectors } from '../vectors/command.ts';

const FILE = new URL('../vectors/sphinx-packet-0.6.0.json', import.meta.url);
const vectors = JSON.parse(readFileSync(FILE, 'utf8'));
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

const CRYPTOS = {
  fastest: createCrypto('fastest'),
  'without libsodium': await loadCrypto('fastest', () => undefined),
  'without WebAssembly too': createCrypto('fastest', [nodeBackend, nobleBackend]),
  noble: createCrypto('noble'),
};

for (const [name, crypto] of Object.entries(CRYPTOS)) {
  const sphinx = new Sphinx(crypto, systemRng);

  t.test(`${name}: packets, made and unwrapped`, async (t) => {
    for (const entry of vectors.packets) t.same(checkEntry(crypto, entry), [], entry.name);
    t.equal(vectors.packets.length, 9);
  });

  t.test(`${name}: expansion of a shared secret`, async (t) => {
    t.equal(toHex(expandSecret(crypto, hex(vectors.expand.sharedSecret))), vectors.expand.okm288);
  });

  t.test(`${name}: one layer around a padded payload`, async (t) => {
    for (const [key, expected] of Object.entries(vectors.encapsulateOneLayer.results)) {
      const [, message, size] = key.match(/^msg(\d+)_size(\d+)$/)!.map(Number);
      if (expected === 'error') continue;
      const block = new Uint8Array(size!);
      padInto(block, new Uint8Array(message!).fill(7));
      lionessEncrypt(crypto, hex(vectors.encapsulateOneLayer.key192), block);
      t.equal(toHex(block), expected, key);
      lionessDecrypt(crypto, hex(vectors.encapsulateOneLayer.key192), block);
      t.equal(toHex(unpad(block)!), '07'.repeat(message!), `${key} back`);
    }
  });

  t.test(`${name}: a reply block of version 260, its use and its recovery`, async (t) => {
    const inputs = vectors.packets.find((entry: { name: string }) => entry.name === vectors.surb260.sameInputsAs);
    const route = inputs.nodeAddresses.map((address: string, i: number) => ({
      address: hex(address),
      publicKey: hex(inputs.nodePublicKeys[i]),
      delayNs: Number(inputs.delaysNanos[i]),
    }));
    let draws = 0;
    const rng = rngFrom((out) => (draws++ === 0 ? out.set(hex(inputs.initialSecret)) : out.fill(0x5a)));
    const { header, seeds } = forwardHeader(crypto, rng, route, 260, hex(inputs.destination), hex(inputs.identifier));
    const surb = encodeSurb({ header, firstHop: route[0].address, seeds: seeds.subarray(-16) });
    t.equal(toHex(surb), vectors.surb260.surb);
    t.equal(inputs.identifier + toHex(seeds), vectors.surb260.recovery);

    const message = hex(inputs.message);
    const { packet, firstHop } = sphinx.useSurb(surb, message, inputs.payloadSize - 17);
    t.equal(toHex(packet), vectors.surb260.replyPacket);
    t.same(firstHop, route[0].address);

    for (const secret of inputs.nodeSecretKeys.slice(0, -1)) {
      const opened = sphinx.openHeader(hex(secret), packet);
      if (typeof opened === 'string') throw new Error(opened);
      sphinx.finish(opened, packet);
    }
    const gamma = packet.slice(32, 48);
    const recovery = { gamma, key: asBuffer(gamma).toString('latin1') as GammaKey, seeds };
    t.same(sphinx.recover(recovery, packet.slice()), message, 'from the packet as it arrives');

    const opened = sphinx.openHeader(hex(inputs.nodeSecretKeys.at(-1)), packet);
    if (typeof opened === 'string') throw new Error(opened);
    const result = sphinx.finish(opened, packet);
    if (result.kind !== 'final') throw new Error(result.kind);
    t.equal(toHex(result.payload), vectors.surb260.sealedPayloadAtFinalHop);
  });
}

t.test('padding is added and removed', async (t) => {
  const { message, size, out } = vectors.encapsulateNoLayer;
  const payload = new Uint8Array(size).fill(0xee);
  padInto(payload, Buffer.from(message));
  t.equal(toHex(payload), out);
  t.equal(Buffer.from(unpad(payload)!).toString(), message);
  t.equal(unpad(new Uint8Array(40)), undefined, 'no marker');
  t.equal(unpad(new Uint8Array(16)), undefined, 'too short');
  t.equal(unpad(payload.with(15, 0x80)), undefined, 'prefix not zero');
  t.equal(unpad(new Uint8Array(40).with(15, 1)), undefined, 'a marker inside the prefix is none');
  t.same(unpad(new Uint8Array(40).with(16, 1)), new Uint8Array(0), 'an empty message');
});

t.test('every field of an entry is compared', async (t) => {
  const flip = (text: string) => (text.startsWith('00') ? 'ff' : '00') + text.slice(2);
  const entry = vectors.packets[1];
  const crypto = CRYPTOS.fastest;
  for (const field of ['header', 'packetSha256', 'packet', 'surbSha256', 'message', 'destination', 'identifier']) {
    t.not(checkEntry(crypto, { ...entry, [field]: flip(entry[field]) }).length, 0, field);
  }
  for (const [i, hop] of entry.hops.entries()) {
    for (const field of Object.keys(hop)) {
      const wrong = field === 'delay' ? '1' : flip(hop[field]);
      const hops = entry.hops.with(i, { ...hop, [field]: wrong });
      t.match(checkEntry(crypto, { ...entry, hops }), [`hops.${i}.${field}`], `hop ${i} ${field}`);
    }
  }
  t.match(checkEntry(crypto, { ...entry, surbLen: 1 }), ['surbLen']);
  t.match(checkEntry(crypto, { ...entry, nodeSecretKeys: entry.nodeSecretKeys.toReversed() }), [/refused, reason mac/]);
  t.match(checkEntry(crypto, { ...entry, version: 258 }), [/version/]);
  t.match(checkEntry(crypto, { ...entry, initialSecret: 'zz' }), [/initialSecret: not hex/]);
  t.match(checkEntry(crypto, { ...entry, delaysNanos: [] }), [/differ in length/]);
  t.match(checkEntry(crypto, 'x'), [/./]);
});

t.test('fields that only some entries have may be missing', async (t) => {
  const { headerPaddingByte: _, ...unpadded } = vectors.packets[2];
  t.same(checkEntry(CRYPTOS.fastest, unpadded), [], 'the padding is taken from the packet');
  const { packet: _packet, header: _header, ...onlySums } = vectors.packets[2];
  t.same(checkEntry(CRYPTOS.fastest, onlySums), []);
  const { hops: _hops, packetSha256: _sum, surbLen: _length, surbSha256: _surb, ...bare } = onlySums;
  t.same(checkEntry(CRYPTOS.fastest, bare), []);
  const { nodePublicKeys: _keys, ...secretsOnly } = vectors.packets[2];
  t.same(checkEntry(CRYPTOS.fastest, secretsOnly), []);
  const { nodeSecretKeys: _secrets, ...publicOnly } = vectors.packets[2];
  t.same(checkEntry(CRYPTOS.fastest, publicOnly), []);
});

t.test('npm run vectors checks files and says what is wrong', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'vectors-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const run = async (...args: string[]) => {
    let [stdout, stderr] = ['', ''];
    const status = await runVectors(args, {
      out: (text) => {
        stdout += text;
      },
      err: (text) => {
        stderr += text;
      },
    });
    return { status, stderr, last: stdout.trimEnd().split('\n').at(-1) };
  };
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  t.match(await run(), { status: 0, last: /^\d{3} passed, 0 failed$/ }, 'all bundled files');
  t.match(await run(fileURLToPath(FILE)), { status: 0, last: '9 passed, 0 failed' });
  const [good] = vectors.packets;
  const bad = { ...good, header: good.header.replace(/^../, 'ff') };
  const mixed = write('mixed.json', JSON.stringify({ packets: [good, bad] }));
  t.match(await run(mixed, '--crypto', 'noble'), { status: 1, last: '1 passed, 1 failed' });
  for (const file of [
    write('broken.json', '{\n"packets": [\n'),
    write('other.json', '[]'),
    join(dir, 'missing.json'),
  ]) {
    const { status, stderr } = await run(file);
    t.equal(status, 2, file);
    t.match(stderr, /^vectors: .*\n$/, 'one line');
  }
  const script = fileURLToPath(new URL('../vectors/run.ts', import.meta.url));
  const wrong = spawnSync(process.execPath, ['--import', 'tsx', script, '--crypto', 'rot13'], { encoding: 'utf8' });
  t.match(wrong, { status: 2, stderr: /^vectors: .*fastest or noble/ }, 'as a program');
});
