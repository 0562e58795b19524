/**
 * The commands whose options come from a schema, the roles excepted. Options and code are loaded when a command is used.
 * @module
 */
import type { Command } from 'commander';
import type { ConfigSchema } from '../lib/config/config.ts';
import type { Done } from './options.ts';
import { exitCodesHelp } from './report.ts';
import type { Environment, Flags } from './role-config.ts';

interface SchemaCommand {
  readonly about: string;
  /** What stands behind the options, as commander names it, and what it is. */
  readonly words?: readonly (readonly [name: string, about: string])[];
  readonly help: string;
  readonly schema: () => Promise<ConfigSchema>;
  /** Resolves with the exit code. */
  readonly run: (flags: Flags, env: Environment, words: readonly string[]) => Promise<number>;
}

/** As of env, nohup and timeout: what failed is `mixsocks run` itself, not the command. */
export const OWN_FAILURE = 125;

const FINDING_HELP = `
The proxy is the one of --proxy or MIXSOCKS_PROXY; else the one that --dir or MIXSOCKS_DIR says; else the one on
127.0.0.1:1080.`;

const RUN_HELP = `${FINDING_HELP} Where none runs, one is started from --dir or --network-file, and ended with the command.

Examples:
  mixsocks run -- curl https://example.org/
  mixsocks run --network-file network.json -- git clone https://example.org/project.git
  mixsocks run --identity work -- bash
  mixsocks run --sealed -- bash               what ignores the proxy reaches nothing

Exit codes: those of the command, 128 and the number of the signal that ended it, and
  ${OWN_FAILURE}  mixsocks run failed, and says why
  126  the command cannot be executed
  127  the command was not found`;

const CONNECT_HELP = `${FINDING_HELP}

Examples:
  ssh -o ProxyCommand='mixsocks connect %h %p' alice@example.org
  mixsocks connect --identity work example.org 443
${exitCodesHelp()}`;

const BROWSER_HELP = `${FINDING_HELP} Where none runs, one is started from --dir or --network-file, and ended with the browser.

Chromium or Firefox, whichever is installed. The profile is removed when the browser is closed. This is no Tor Browser:
the first page says what it does not do.

Examples:
  mixsocks browser
  mixsocks browser --firefox https://example.org/
  mixsocks browser --chromium example.org -- --window-size=1280,800
  mixsocks browser --network-file network.json
${exitCodesHelp()}`;

const LOCALNET_HELP = `
Each option is also an environment variable, which a flag beats: MIXSOCKS_SOCKS_PORT=9050 for --socks-port 9050.

Examples:
  mixsocks localnet
  mixsocks localnet --socks-port 0 --status-port 0 --ready-file ready.json --allow-private
  mixsocks localnet --rate 200 --reply-rate 500 --mixes-per-layer 3
  mixsocks localnet --fault mixes:drop=0.05 --fault gateway-1:delay-ms=100,duplicate=0.1,corrupt=0.01
  mixsocks localnet --dir ./net      keep keys and documents, and use them again next time
${exitCodesHelp()}`;

const PLAN_EXAMPLES = `
Examples:
  mixsocks plan --users 1000
  mixsocks plan --users 20 --mixing-target 100
  mixsocks plan --users 100000 --class fast --json`;

const COMMANDS = {
  localnet: {
    about: 'run a whole network on this machine, each node its own process',
    help: LOCALNET_HELP,
    schema: async () => (await import('./localnet/config.ts')).LocalnetConfig,
    run: async (flags, env) => (await import('./localnet/index.ts')).runLocalnet(flags, env),
  },
  plan: {
    about: 'how many nodes a number of users takes, of what size, and what anonymity that buys',
    help: PLAN_EXAMPLES,
    schema: async () => (await import('./plan/options.ts')).PlanConfig,
    run: async (flags, env) => (await import('./plan/index.ts')).runPlan(flags, env),
  },
  run: {
    about: 'run a command whose connections go through the proxy',
    words: [['<command...>', 'the command and its arguments']],
    help: RUN_HELP,
    schema: async () => (await import('./proxy-use/options.ts')).RunConfig,
    run: async (flags, env, words) => (await import('./run/index.ts')).runCommand(words, flags, env),
  },
  connect: {
    about: "join standard input and output to a connection through the proxy, as ssh's ProxyCommand",
    words: [
      ['<host>', 'name or address of the site'],
      ['<port>', 'its port'],
    ],
    help: CONNECT_HELP,
    schema: async () => (await import('./connect/index.ts')).ConnectConfig,
    run: async (flags, env, words) => (await import('./connect/index.ts')).connectCommand(words, flags, env),
  },
  browser: {
    about: 'open a browser with a fresh profile that uses the proxy and nothing else',
    words: [['[words...]', 'a page to open, and behind -- options of the browser itself']],
    help: BROWSER_HELP,
    schema: async () => (await import('./browser/options.ts')).BrowserConfig,
    run: async (flags, env, words) => (await import('./browser/index.ts')).runBrowser(words, flags, env),
  },
} satisfies Readonly<Record<string, SchemaCommand>>;

/** Adds the command `name`; its options only where `args` may mean it. */
export async function addSchemaCommand(
  program: Command,
  name: keyof typeof COMMANDS,
  args: readonly string[],
  done: Done,
): Promise<void> {
  const { about, words = [], help, schema, run }: SchemaCommand = COMMANDS[name];
  const command = program.command(name).description(about);
  for (const word of words) command.argument(...word);
  if (name === 'run') command.passThroughOptions();
  if (!args.includes(name)) return;
  const { addOptions, givenFlags } = await import('./options.ts');
  addOptions(command, await schema());
  command.addHelpText('after', help);
  command.action(async (...given: readonly unknown[]) => {
    done(await run(givenFlags(command), process.env, given.slice(0, words.length).flat() as string[]));
  });
}
