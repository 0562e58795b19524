import { X509Certificate } from 'node:crypto';
import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity, hasIdentity, loadIdentity, saveIdentity } from '../../lib/link/index.ts';
import { readKeys, writeKeys } from '../../lib/mixing/key-store.ts';
import { seededRng } from '../support/seeded-rng.ts';

t.test('an identity survives its file', async (t) => {
  const dir = join(t.testdir(), 'node');
  const identity = await createIdentity(systemRng);
  t.equal(await hasIdentity(dir), false);
  await saveIdentity(dir, identity);
  t.equal(await hasIdentity(dir), true);
  t.strictSame(await loadIdentity(dir), identity);
  t.strictSame(await readdir(dir), ['identity.pem'], 'no temporary file stays');
  t.equal((await stat(join(dir, 'identity.pem'))).mode & 0o777, 0o600);
});

t.test('the certificate tells the key and nothing else', async (t) => {
  const [a, b] = [await createIdentity(seededRng(1)), await createIdentity(seededRng(2))];
  const [certificateA, certificateB] = [new X509Certificate(a.certificatePem), new X509Certificate(b.certificatePem)];
  t.not(a.id, b.id);
  for (const field of ['subject', 'issuer', 'validFrom', 'validTo', 'serialNumber'] as const) {
    t.equal(certificateA[field], certificateB[field], field);
  }
  t.equal(certificateA.raw.byteLength, certificateB.raw.byteLength);
  t.ok(certificateA.verify(certificateA.publicKey), 'self-signed');
  t.match(a.id, /^[0-9a-f]{64}$/);
});

t.test('the same seed gives the same identity', async (t) => {
  // RFC 8032 section 7.1, test 1.
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
  const rng = { ...seededRng(1), bytes: () => new Uint8Array(seed) };
  const identity = await createIdentity(rng);
  t.equal(identity.id, 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  // Made with an X.509 library.
  const certificate = `-----BEGIN CERTIFICATE-----
MIHYMIGLoAMCAQICAQEwBQYDK2VwMBMxETAPBgNVBAMTCG1peHNvY2tzMCAXDTAw
MDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjATMREwDwYDVQQDEwhtaXhzb2Nr
czAqMAUGAytlcAMhANdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaowIw
ADAFBgMrZXADQQBzG/dQKctyyK+F8dEEJChfbKzbiEIvHO/IrR7o9WAeEG7F6vi9
c9dAHN3rX298/n8xfoOBZO6ksvzLeOi7QvoE
-----END CERTIFICATE-----
`;
  t.equal(identity.certificatePem, certificate);
});

t.test('an identity is never overwritten', async (t) => {
  const dir = t.testdir();
  const [first, second] = [await createIdentity(systemRng), await createIdentity(systemRng)];
  await saveIdentity(dir, first);
  await t.rejects(saveIdentity(dir, second), { code: 'IDENTITY', message: /there is an identity already$/ });
  t.equal((await loadIdentity(dir)).id, first.id);
  t.strictSame(await readdir(dir), ['identity.pem']);
});

t.test('files that are no good are named with their fault', async (t) => {
  const [identity, other] = [await createIdentity(systemRng), await createIdentity(systemRng)];
  const { privateKeyPem, certificatePem } = identity;
  const rsa = '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n';
  const contents: [name: string, text: string, message: RegExp][] = [
    ['empty', '', /holds no private key$/],
    ['no certificate', privateKeyPem, /holds no certificate$/],
    ['no key', certificatePem, /holds no private key$/],
    ['garbage', '\0\0\0', /has a NUL byte at offset 0/],
    ['broken key', rsa + certificatePem, /is damaged: /],
    ['broken certificate', privateKeyPem + rsa.replaceAll('PRIVATE KEY', 'CERTIFICATE'), /is damaged: /],
    ['certificate of another', privateKeyPem + other.certificatePem, /certificate is of another key$/],
    ['cut short', privateKeyPem + certificatePem.slice(0, 100), /holds no certificate$/],
    ['too long', privateKeyPem + certificatePem + ' '.repeat(70_000), /it can have at most 65536$/],
  ];
  for (const [name, text, message] of contents) {
    const dir = t.testdir();
    await writeFile(join(dir, 'identity.pem'), text, { mode: 0o600 });
    await t.rejects(loadIdentity(dir), { code: 'IDENTITY', message }, name);
  }
});

t.test('what the system refuses is no fault of the key files: they are neither missing nor damaged', async (t) => {
  const dir = t.testdir();
  for (const name of ['identity.pem', 'folder']) await symlink(name, join(dir, name)); // nobody can follow it, not even root
  await t.rejects(loadIdentity(dir), { code: 'ENVIRONMENT', message: /^cannot read .*identity\.pem: .*ELOOP/ });
  const identity = await createIdentity(systemRng);
  await t.rejects(saveIdentity(join(dir, 'folder'), identity), {
    code: 'ENVIRONMENT',
    message: /^cannot write .*ELOOP/,
  });
  await symlink('sphinx-keys.json', join(dir, 'sphinx-keys.json'));
  t.throws(() => readKeys(dir), { code: 'ENVIRONMENT', message: /^cannot read .*sphinx-keys\.json: .*ELOOP/ });
  const keys = { format: 1, epochMs: 1, clean: false, keys: [] } as const;
  t.throws(() => writeKeys(join(dir, 'none'), { ...keys, keys: [] }), {
    code: 'ENVIRONMENT',
    message: /^cannot write /,
  });
});

t.test('a missing file, a folder in its place, a file that others can read', async (t) => {
  const dir = t.testdir({ folder: { 'identity.pem': {} } });
  const path = join(dir, 'identity.pem');
  await t.rejects(loadIdentity(dir), { code: 'IDENTITY', message: `cannot read ${path}: there is no such file` });
  await t.rejects(loadIdentity(join(dir, 'folder')), { code: 'IDENTITY', message: /is a folder, not a file$/ });
  await saveIdentity(dir, await createIdentity(systemRng));
  for (const mode of [0o640, 0o604, 0o660]) {
    await chmod(path, mode);
    const message = `${path} can be read by others (mode ${mode.toString(8)}); run: chmod 600 ${path}`;
    await t.rejects(loadIdentity(dir), { code: 'IDENTITY', message });
  }
  await chmod(path, 0o400);
  t.match((await loadIdentity(dir)).id, /^[0-9a-f]{64}$/);
  t.match(await readFile(path, 'utf8'), /^-----BEGIN PRIVATE KEY-----/);
});
