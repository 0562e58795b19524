/**
 * Other people's programs, run by system tests: with nothing of the user's own configuration, and no proxy but ours.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type Finished, finished } from './localnet.ts';

/** The environment without what would lead a program around the proxy that the test names. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name) && !name.startsWith('GIT_'));
  const git = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  const author = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };
  return { ...Object.fromEntries(kept), ...git, ...author };
}

/** Whether `program` is installed; says aloud when it is not. */
export function isInstalled(program: string): boolean {
  const found = spawnSync(program, [program === 'ssh' ? '-V' : '--version'], { stdio: 'ignore' }).status === 0;
  if (!found) process.stderr.write(`NO ${program.toUpperCase()} HERE: it is NOT TESTED\n`);
  return found;
}

/** Runs a program to its end; kills it after a minute. */
export async function runProgram(command: string, args: readonly string[], input = ''): Promise<Finished> {
  const child = spawn(command, args, { env: plainEnvironment(), stdio: 'pipe', timeout: 60_000 });
  child.stdin.on('error', () => {}); // it may not want its input
  child.stdin.write(input);
  return finished(child);
}

/** One request of `git http-backend`: what a web server says to a CGI program and hears from it. */
export async function gitBackend(
  folder: string,
  request: { readonly method: string; readonly url: string; readonly type: string; readonly body: Buffer },
): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer }> {
  const [path = '', query = ''] = request.url.split('?');
  const cgi = {
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: request.method,
    PATH_INFO: path,
    QUERY_STRING: query,
    CONTENT_TYPE: request.type,
    CONTENT_LENGTH: String(request.body.byteLength),
  };
  const child = spawn('git', ['http-backend'], { env: { ...plainEnvironment(), ...cgi }, stdio: 'pipe' });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stdin.end(request.body);
  await once(child, 'close');
  const answer = Buffer.concat(parts);
  const end = answer.indexOf('\r\n\r\n');
  const lines = answer.toString('latin1', 0, end).split('\r\n');
  const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2) as [string, string]));
  const { Status: status = '200', ...others } = headers;
  return { status: Number.parseInt(status, 10), headers: others, body: answer.subarray(end + 4) };
}
