/**
 * What editors, shells and the operating system do to a program: byte order marks, `~`, full disks, folders that cannot be.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { expandHome } from '../../lib/config/home-folder.ts';
import { asMixError, MixError } from '../../lib/core/errors.ts';
import { makeFolder } from '../../lib/core/folders.ts';
import { decodeText, readTextFile } from '../../lib/core/text-file.ts';
import { LogOutput } from '../../lib/telemetry/log-output.ts';

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-environment-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function systemError(code: string, syscall = 'open', path?: string): Error {
  return Object.assign(new Error(code), { code, syscall, ...(path === undefined ? {} : { path }) });
}

t.test('a byte order mark is no part of a text', async (t) => {
  const path = join(folder(t), 'config.json');
  writeFileSync(path, '\ufeff{\r\n}\r\n');
  t.equal(readTextFile(path), '{\r\n}\r\n');
  t.equal(decodeText(Buffer.from('plain'), 'file'), 'plain');
  t.equal(decodeText(new Uint8Array(0), 'file'), '');
  t.equal(decodeText(Buffer.from('\ufeff'), 'file'), '');
});

t.test('what is not UTF-8 is named, with what to do', async (t) => {
  const utf16le = Buffer.from('{"a":1}', 'utf16le');
  const utf16be = Buffer.from(utf16le).swap16();
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.concat([Buffer.from([0xff, 0xfe]), utf16le]), /^file is UTF-16; save it as UTF-8$/],
    [Buffer.concat([Buffer.from([0xfe, 0xff]), utf16be]), /^file is UTF-16; save it as UTF-8$/],
    [utf16le, /^file looks like UTF-16/],
    [utf16be, /^file looks like UTF-16/],
    [Buffer.from('{"a":\0}'), /^file has a NUL byte at offset 5; save it as UTF-8$/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /^file is not UTF-8 text; save it as UTF-8$/],
  ];
  for (const [bytes, message] of cases) t.throws(() => decodeText(bytes, 'file'), { code: 'CONFIG', message });
  t.throws(() => decodeText(utf16le, 'identity.pem', 'IDENTITY'), { code: 'IDENTITY' });
});

t.test('~ is the home folder, and nobody else’s', async (t) => {
  t.equal(expandHome('~', '--dir'), homedir());
  t.equal(expandHome('~/a/b', '--dir'), join(homedir(), 'a/b'));
  t.equal(expandHome('/x/~/y', '--dir'), '/x/~/y');
  t.equal(expandHome('./~', '--dir'), './~');
  t.throws(() => expandHome('~bob/x', '--dir'), { code: 'CONFIG', message: /^--dir: '~bob\/x': .*in full/ });
});

t.test('~ is not the root folder where HOME is empty', async (t) => {
  const home = process.env.HOME;
  t.teardown(() => {
    if (home === undefined) delete process.env.HOME;
    else process.env.HOME = home;
  });
  process.env.HOME = '';
  t.throws(() => expandHome('~/x', '--dir'), {
    code: 'CONFIG',
    message: "--dir: '~/x': HOME is empty; write the path in full",
  });
  t.equal(expandHome('/x', '--dir'), '/x');
});

t.test('what the operating system refuses is no defect', async (t) => {
  for (const code of ['EROFS', 'EACCES', 'EMFILE', 'ENFILE', 'ENOSPC', 'EDQUOT', 'ENAMETOOLONG', 'EIO', 'ENOTDIR']) {
    const error = asMixError(systemError(code, 'open', '/data/x'));
    t.equal(error.code, 'ENVIRONMENT', code);
    t.match(error.message, new RegExp(`^cannot open /data/x: .+ \\(${code}\\)$`));
    t.not(error.facts.exitCode, 70);
  }
  t.equal(
    asMixError(systemError('ENOSPC', 'write')).message,
    'cannot write: the disk is full; free some space (ENOSPC)',
  );
  t.equal(asMixError(systemError('ERR_INVALID_ARG_TYPE')).code, 'INTERNAL');
  t.equal(asMixError(new TypeError('x is undefined')).code, 'INTERNAL');
  const known = new MixError('LIMIT', 'full');
  t.equal(asMixError(known), known);
});

t.test('a folder is made with those above it, or refused at once', async (t) => {
  const dir = folder(t);
  const deep = join(dir, 'a/b/c');
  makeFolder(deep);
  makeFolder(deep);
  t.equal(statSync(deep).mode & 0o777, 0o700);
  writeFileSync(join(dir, 'file'), '');
  t.throws(() => makeFolder(join(dir, 'file')), { code: 'EEXIST' });
  t.throws(() => makeFolder(join(dir, 'file/x')), { code: 'ENOTDIR' });
  t.throws(() => makeFolder(join(dir, 'x'.repeat(300))), { code: 'ENAMETOOLONG' });
  if (process.platform === 'linux') t.throws(() => makeFolder('/proc/mixsocks/x'), { code: 'ENOENT' });
  mkdirSync(join(dir, 'mine'), { mode: 0o755 });
  makeFolder(join(dir, 'mine'));
  t.equal(statSync(join(dir, 'mine')).mode & 0o777, 0o755, 'one that is there stays as it is');
});

/** An output whose device takes `takes(bytes)` of a write, or throws. */
function output(takes: (bytes: Uint8Array) => number) {
  const written: string[] = [];
  const out = new LogOutput(2, (_fd, bytes) => {
    const count = takes(bytes);
    written.push(Buffer.from(bytes.subarray(0, count)).toString());
    return count;
  });
  return { out, text: () => written.join('') };
}

t.test('a log that cannot be written costs lines, which are counted, and nothing else', async (t) => {
  for (const code of ['ENOSPC', 'EPIPE', 'EIO', 'EDQUOT', 'EAGAIN', 'EBADF']) {
    let broken = true;
    const { out, text } = output((bytes) => {
      if (broken) throw systemError(code, 'write');
      return bytes.byteLength;
    });
    for (const line of ['1\n', '2\n', '3\n']) out.write(line);
    t.equal(text(), '', code);
    broken = false;
    out.write('4\n');
    out.write('5\n');
    t.match(text(), /^\{"level":"warn","lost":3,"msg":".*"\}\n4\n5\n$/, code);
  }
});

t.test('a line is written in parts where the pipe is nearly full, and a torn one is ended', async (t) => {
  const slow = output(() => 1);
  slow.out.write('abc\n');
  t.equal(slow.text(), 'abc\n');
  let room = 2;
  const torn = output((bytes) => {
    const count = Math.min(room, bytes.byteLength);
    if (count === 0) throw systemError('EAGAIN', 'write');
    room -= count;
    return count;
  });
  torn.out.write('abc\n');
  room = 1000;
  torn.out.write('def\n');
  t.match(torn.text(), /^ab\n\{.*"lost":1.*\}\ndef\n$/);
});
