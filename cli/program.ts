/**
 * The command tree: what there is, with help and examples; and the one place where an error becomes an exit code.
 * @module
 */
import { Command, CommanderError } from 'commander';
import { MixError } from '../lib/core/errors.ts';
import { VERSION } from '../lib/core/version.ts';
import type { CheckOptions } from './check/index.ts';
import { addSchemaCommand, OWN_FAILURE } from './commands.ts';
import type { Done } from './options.ts';
import { exitCodesHelp, reportError } from './report.ts';
import { isCommandBeside, ROLES, type Role } from './roles.ts';
import { DEFAULT_STATUS_URL, printStatus, type StatusOptions } from './status.ts';
import { DEFAULT_INTERVAL_S } from './status-watch.ts';

/** Runs the command line `args` (without node and script); resolves with the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = newProgram();
  try {
    await addCommands(program, args, (code) => {
      exitCode = code;
    });
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help, --version
    const code = reportError(usageError(error, args), commandName(program, args));
    return args[0] === 'run' ? OWN_FAILURE : code;
  }
}

function newProgram(): Command {
  return new Command('mixsocks')
    .description('A SOCKS5 proxy over a Loopix mixnet that anyone can host.')
    .version(VERSION)
    .exitOverride()
    .enablePositionalOptions() // what follows the command of `run` is the command's
    .configureOutput({ writeErr: () => {} }) // errors are reported by runProgram, in one line
    .configureHelp({ helpWidth: 120 })
    .addHelpText(
      'after',
      `
Examples:
  mixsocks localnet                            a whole network on this machine, SOCKS5 on 127.0.0.1:1080
  curl -x socks5h://127.0.0.1:1080 http://example.org/
  mixsocks init mixnode --dir ./mix            identity and config file of a mix
  mixsocks mixnode --dir ./mix                 run it
  mixsocks check ./mix                         what is wrong with it, and what to do
  mixsocks run -- git clone https://example.org/project.git
  mixsocks COMMAND --help                      options and examples of a command
${exitCodesHelp()}`,
    );
}

/** Options come from schemas, and those of a role take its code: only the commands that `args` may mean get theirs. */
async function addCommands(program: Command, args: readonly string[], done: Done): Promise<void> {
  await addSchemaCommand(program, 'localnet', args, done);
  const init = program
    .command('init')
    .description('make the folder of a role: identity, config file, what to do next')
    .addHelpText('after', INIT_EXAMPLES);
  for (const role of ROLES) {
    const run = program.command(role.name).description(role.summary);
    const make = init.command(role.name).description(`the folder of a ${role.name}`);
    if (args.includes(role.name)) await addRole(role, run, make, done);
  }
  addCheck(program, done);
  await addSchemaCommand(program, 'plan', args, done);
  addStatus(program, done);
  for (const name of ['run', 'connect', 'browser'] as const) await addSchemaCommand(program, name, args, done);
}

async function addRole(role: Role, run: Command, make: Command, done: Done): Promise<void> {
  const { addOptions, givenFlags, SOURCES_HELP } = await import('./options.ts');
  const { schema } = await role.load();
  addOptions(run, schema);
  run.option('--init', 'make the folder first where it holds no role yet, as mixsocks init does');
  run.addHelpText('after', `${SOURCES_HELP}\n\nExample:\n  ${role.example}\n${exitCodesHelp()}`);
  run.action(async () => {
    const { init, ...flags } = givenFlags(run);
    if (init === true) {
      const { initMissingRole } = await import('./init.ts');
      await initMissingRole(role, flags, process.env);
    }
    const { runRole } = await import('./run-role.ts');
    done(await runRole(role, flags, process.env));
  });
  if (role.name === 'directory') {
    const { addAuthorityCommands } = await import('./directory/commands.ts');
    addAuthorityCommands(run, done);
  }
  if (role.name === 'gateway') {
    const { addGatewayCommands } = await import('./gateway/commands.ts');
    addGatewayCommands(run, done);
  }
  addOptions(make, schema);
  make.addHelpText('after', `\nThe options given are written to DIR/config.json.\n\nExample:\n  ${initExample(role)}`);
  make.action(async () => {
    const { initRole } = await import('./init.ts');
    await initRole(role, givenFlags(make), process.env);
    done(0);
  });
}

function addCheck(program: Command, done: Done): void {
  program
    .command('check')
    .description(
      'look at the folder of a role: files, configuration, network, clock, ports, limits; it changes nothing',
    )
    .argument('<folder>', 'folder of the role, which may be running')
    .option('--role <role>', 'whose folder it is, where config.json does not say so')
    .option('--json', 'print what was found as one object')
    .addHelpText('after', CHECK_HELP)
    .action(async (folder: string, options: CheckOptions) => {
      const { runCheck } = await import('./check/index.ts');
      done(await runCheck(folder, options, process.env));
    });
}

function addStatus(program: Command, done: Done): void {
  program
    .command('status')
    .description(
      'show what the running proxy sees: what was refused or slow and why, path health, rates, streams, reply blocks',
    )
    .option('--url <url>', 'address of its status port', DEFAULT_STATUS_URL)
    .option('--json', 'print status.json as it is')
    .option(
      '--watch',
      'show it again and again, on a terminal in place, until q or Ctrl-C; with --json one object a line',
    )
    .option('--interval <seconds>', `time between two, with --watch (default: ${DEFAULT_INTERVAL_S})`)
    .addHelpText('after', STATUS_EXAMPLES)
    .action(async (options: StatusOptions) => {
      await printStatus(options);
      done(0);
    });
}

/** Commander's complaint as ours, in one line. */
function usageError(error: unknown, args: readonly string[]): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.code === 'commander.help') return new MixError('USAGE', missingCommand(args));
  const [what = '', hint] = error.message.replace(/^error: /, '').split('\n');
  return new MixError(
    'USAGE',
    what.replace(/\.$/, '') + (hint === undefined ? '' : `; ${hint.replace(/[()]/g, '').replace('Did', 'did')}`),
  );
}

function commandName(program: Command, args: readonly string[]): string {
  const name = program.commands.find((command) => command.name() === args[0])?.name();
  return name === undefined ? 'mixsocks' : `mixsocks ${name}`;
}

const initExample = (role: Role): string => `mixsocks init ${role.name} --dir ./${role.name}-1`;

const INIT_EXAMPLES = `
Examples:
${ROLES.map((role) => `  ${initExample(role)}`).join('\n')}`;

const CHECK_HELP = `
Of the configuration it sees config.json and the environment, not the flags that the role is started with. The exit code is 1 where there
is a problem.

Examples:
  mixsocks check ./mix
  mixsocks check ./mix --json`;

const STATUS_EXAMPLES = `
Examples:
  mixsocks status
  mixsocks status --watch --interval 5
  mixsocks status --url http://127.0.0.1:9081 --json`;

function missingCommand(args: readonly string[]): string {
  const roles = ROLES.map(({ name }) => name).join(', ');
  if (isCommandBeside(args)) return 'say what to do with join tokens: create, list or revoke';
  if (args.includes('init')) return `say which role: ${roles}`;
  return `say which command: localnet for a whole network on this machine, init, check, plan, run, connect, status, or a role: ${roles}`;
}
