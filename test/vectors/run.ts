import { runVectors } from './command.ts';

process.exitCode = await runVectors(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
