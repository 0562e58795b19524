/**
 * The commands that use a proxy, on the command line.
 * @module
 */
import type { Command } from 'commander';
import type { Done } from '../options.ts';
import { exitCodesHelp } from '../report.ts';

/** As of env, nohup and timeout: what failed is `mixsocks run` itself, not the command. */
export const OWN_FAILURE = 125;

export async function addRun(program: Command, args: readonly string[], done: Done): Promise<void> {
  const command = program
    .command('run')
    .description('run a command whose connections go through the proxy')
    .argument('<command...>', 'the command and its arguments')
    .passThroughOptions();
  if (args[0] !== 'run') return;
  const { addOptions, givenFlags } = await import('../options.ts');
  const { RunConfig } = await import('../run/options.ts');
  addOptions(command, RunConfig);
  command.addHelpText('after', RUN_HELP);
  command.action(async (words: string[]) => {
    const { runCommand } = await import('../run/index.ts');
    done(await runCommand(words, givenFlags(command), process.env));
  });
}

export async function addConnect(program: Command, args: readonly string[], done: Done): Promise<void> {
  const command = program
    .command('connect')
    .description("join standard input and output to a connection through the proxy, as ssh's ProxyCommand")
    .argument('<host>', 'name or address of the site')
    .argument('<port>', 'its port');
  if (args[0] !== 'connect') return;
  const { addOptions, givenFlags } = await import('../options.ts');
  const { ConnectConfig } = await import('../connect/index.ts');
  addOptions(command, ConnectConfig);
  command.addHelpText('after', `${CONNECT_HELP}\n${exitCodesHelp()}`);
  command.action(async (host: string, port: string) => {
    const { connectCommand } = await import('../connect/index.ts');
    await connectCommand([host, port], givenFlags(command), process.env);
    done(0);
  });
}

export async function addBrowser(program: Command, args: readonly string[], done: Done): Promise<void> {
  const command = program
    .command('browser')
    .description('open a browser with a fresh profile that uses the proxy and nothing else')
    .argument('[words...]', 'a page to open, and behind -- options of the browser itself');
  if (!args.includes('browser')) return;
  const { addOptions, givenFlags } = await import('../options.ts');
  const { BrowserConfig } = await import('../browser/options.ts');
  addOptions(command, BrowserConfig);
  command.addHelpText('after', `${BROWSER_HELP}\n${exitCodesHelp()}`);
  command.action(async (words: string[]) => {
    const { runBrowser } = await import('../browser/index.ts');
    done(await runBrowser(words, givenFlags(command), process.env));
  });
}

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
  mixsocks connect --identity work example.org 443`;

const BROWSER_HELP = `${FINDING_HELP} Where none runs, one is started from --dir or --network-file, and ended with the browser.

Chromium or Firefox, whichever is installed. The profile is removed when the browser is closed. This is no Tor Browser:
the first page says what it does not do.

Examples:
  mixsocks browser
  mixsocks browser --firefox https://example.org/
  mixsocks browser --chromium example.org -- --window-size=1280,800
  mixsocks browser --network-file network.json`;
