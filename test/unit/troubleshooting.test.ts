/** docs/TROUBLESHOOTING.md: its tables are those of the code, and each message that it quotes is printed by the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { REASONS } from '../../lib/access/troubles/reasons.ts';
import { ERRORS } from '../../lib/core/errors.ts';
import { TROUBLESHOOTING_PAGE, withTables } from '../support/troubleshooting-page.ts';

const page = readFileSync(TROUBLESHOOTING_PAGE, 'utf8');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

t.test('the tables of reasons and errors are those of the code', async (t) => {
  t.equal(page, withTables(page), 'else: npx tsx test/support/troubleshooting-page.ts');
  const first = new Set([...page.matchAll(/^\| `([A-Za-z_-]+)` \|/gm)].map(([, name]) => name));
  t.strictSame([...first].sort(), [...Object.keys(REASONS), ...Object.keys(ERRORS)].sort(), 'all, and no others');
});

t.test('a table that differs from the code is noticed', async (t) => {
  for (const text of [REASONS['exit-refused'].words, ERRORS.POLICY.help]) {
    t.ok(page.includes(text), text);
    const other = page.replace(text, 'something else');
    t.not(other, withTables(other));
  }
});

/** The code's text, without the breaks between parts of one message. */
const sources = ['lib', 'cli', 'proxy', 'gateway', 'mixnode', 'directory', 'client', 'network-requester']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
  )
  .map((source) => source.replace(/' \+\s*'/g, '').replace(/^\s*(\/?\*|\/\/).*$/gm, ''));

/** The messages of the sections whose first column is what the program prints. */
const quoted = page
  .split(/^## /m)
  .filter((section) => /^(It does not start|It is not ready|The log says)/.test(section))
  .flatMap((section) => [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, text = '']) => text));

/** Whether one message of the code has all fixed parts of `text`, in order, with values between them. */
function isPrinted(text: string): boolean {
  const parts = text.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll("'", "\\\\?'"));
  const pattern = new RegExp(parts.join('[^\\n]*?'));
  return sources.some((source) => pattern.test(source));
}

t.test('every message that it quotes is printed by the code', async (t) => {
  t.ok(quoted.length > 20, `${quoted.length} messages`);
  for (const text of quoted) t.ok(isPrinted(text), text);
  t.notOk(isPrinted('the requester has not been answering'), 'another one is not');
  t.notOk(isPrinted('cannot listen at …'));
});

t.test('every obstacle that the status names is in it', async (t) => {
  const mixnet = readFileSync(join(ROOT, 'lib/access/mixnet.ts'), 'utf8');
  const bodies = [...mixnet.matchAll(/ (?:obstacle|#gatewayObstacle)\([^)]*\): [\s\S]*?\n {2}\}/g)].join('\n');
  const messages = [...bodies.matchAll(/['`]([a-z][^'`]{12,})['`]/g)].map(([, text = '']) =>
    text.replace(/\$\{[^}]*\}/g, '…'),
  );
  t.ok(messages.length >= 6);
  for (const text of messages) t.ok(quoted.includes(text), text);
});
