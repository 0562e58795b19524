/**
 * docs/HOSTING.md: the commands that make a network of three machines, run by a shell as they stand there. Put in place of what a test
 * does not have: addresses of 127.0.0.0/8 for those of the machines, the proxy's included; a folder for each machine, between which `scp`
 * copies; the build for the installed package; the token that the authority has printed for TOKEN; a site of this machine for
 * example.org, which the environment lets the exit reach.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hasAddress } from '../../lib/net/own-address.ts';
import { ENDS_WITH_US, type Finished, finished, MAIN, stopProcess, until } from '../support/localnet.ts';
import { startWeb } from '../support/web.ts';

const PAGE = readFileSync(new URL('../../docs/HOSTING.md', import.meta.url), 'utf8');
const INSTALL = 'npm install --global mixsocks';
/** Addresses that no other test uses. */
const NET = `127.83.${process.pid % 250}`;
const SOCKS = `${NET}.9:1080`;
const STATUS = `${NET}.9:1081`;
/** A network of real processes on a busy machine. */
const PATIENCE_MS = 120_000;

interface Command {
  readonly machine: string;
  readonly line: string;
}

/** The first two blocks of the chapter: the network, and its first use. */
function commandsOf(page: string): { network: Command[]; use: Command[] } {
  const chapter = page.slice(
    page.indexOf('## Three machines'),
    page.indexOf('\n## ', page.indexOf('## Three machines') + 1),
  );
  const [network = '', use = ''] = [...chapter.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  return { network: commandsIn(network, ''), use: commandsIn(use, 'laptop') };
}

function commandsIn(block: string, first: string): Command[] {
  let machine = first;
  return block
    .trim()
    .split('\n')
    .flatMap((line) => {
      const named = /^# on (.+)$/.exec(line)?.[1];
      if (named === undefined) return [{ machine, line }];
      machine = named;
      return [];
    });
}

/** The machines: a folder of each, and a shell in it. */
class Machines {
  #token = 'TOKEN';
  readonly #roles: ChildProcess[] = [];

  constructor(
    readonly t: Test,
    readonly home: string,
    readonly siteUrl: string,
  ) {
    const bin = join(home, 'bin');
    mkdirSync(bin);
    const words = [process.execPath, ...ENDS_WITH_US, MAIN].map((word) => `'${word}'`).join(' ');
    writeFileSync(join(bin, 'mixsocks'), `#!/bin/sh\nexec ${words} "$@"\n`);
    writeFileSync(join(bin, 'scp'), `#!/bin/sh\ncp "$1" "${home}/\${2%:}/"\n`);
    for (const name of ['mixsocks', 'scp']) chmodSync(join(bin, name), 0o755);
    t.teardown(() => Promise.all(this.#roles.map((child) => stopProcess(child))));
  }

  #shell({ machine, line }: Command): ChildProcess {
    const here = this.#here(machine);
    const folder = join(this.home, here);
    mkdirSync(folder, { recursive: true });
    const env = {
      ...process.env,
      PATH: `${join(this.home, 'bin')}:${process.env.PATH}`,
      ...{ MIXSOCKS_ALLOW_PRIVATE: 'true', MIXSOCKS_SOCKS_LISTEN: SOCKS, MIXSOCKS_STATUS_LISTEN: STATUS },
    };
    return spawn('/bin/sh', ['-c', this.#here(line)], { cwd: folder, env, stdio: 'pipe' });
  }

  /** A text of the page, for here. */
  #here(text: string): string {
    return text
      .replaceAll('192.0.2.', `${NET}.`)
      .replaceAll('127.0.0.1:1080', SOCKS)
      .replaceAll('http://example.org/', this.siteUrl)
      .replaceAll('TOKEN', this.#token);
  }

  /** Makes the folders that `scp` copies into. */
  prepare(names: readonly string[]): void {
    for (const name of names) mkdirSync(join(this.home, this.#here(name)), { recursive: true });
  }

  /** Runs a command to its end. */
  run(command: Command): Promise<Finished> {
    return finished(this.#shell(command) as Parameters<typeof finished>[0]);
  }

  /** Starts a role, and waits until it listens. */
  async start(command: Command): Promise<void> {
    const child = this.#shell({ ...command, line: `exec ${command.line}` });
    this.#roles.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    await until(command.line, PATIENCE_MS, () => {
      if (child.exitCode !== null) throw new Error(`${command.line} ended: ${output}`);
      return /^listening /m.test(output);
    });
    this.#token = /^join token ([0-9a-f]{64})$/m.exec(output)?.[1] ?? this.#token;
  }
}

const skip = (await hasAddress(`${NET}.1`)) ? false : `this system has no ${NET}.1: the network cannot be tried`;

t.test('ten commands make a network of three machines, and curl goes through it', { skip }, async (t) => {
  const { network, use } = commandsOf(PAGE);
  t.ok(network.length <= 10, `${network.length} commands`);
  const names = [...new Set(network.map(({ machine }) => machine))].filter((name) => name !== 'each of them');
  t.same(names, ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'laptop']);
  const web = await startWeb(t);
  const machines = new Machines(t, t.testdir(), `${web.url}/bytes/10`);
  machines.prepare(names);
  const [install, ...others] = network;
  t.equal(install?.line, INSTALL);
  const roles: Command[] = [];
  for (const command of others) {
    if (!command.line.startsWith('mixsocks ')) {
      t.match(await machines.run(command), { code: 0, stderr: '' }, command.line);
      continue;
    }
    roles.push(command);
    await machines.start(command);
  }
  t.equal(roles.length, 8);

  const ready = () =>
    fetch(`http://${STATUS}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until('the proxy is ready', PATIENCE_MS, ready);
  for (const command of use) {
    const { code, stdout, stderr } = await machines.run(command);
    t.equal(code, 0, `${command.line}: ${stderr}`);
    t.equal(stdout.length, 10, 'what the site serves');
  }
  t.equal(web.requests(), 1);

  const checks = roles.map(({ machine, line }) => ({
    machine,
    line: `mixsocks check ${/--dir (\S+)/.exec(line)?.[1]}`,
  }));
  const found = await Promise.all(checks.map((command) => machines.run(command)));
  for (const [i, { code, stdout }] of found.entries()) {
    t.equal(code, 0, `${checks[i]?.machine}: ${checks[i]?.line}\n${stdout}`);
    t.match(stdout, /, held by /);
  }
});
