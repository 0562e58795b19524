import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { otherPorts, parsePorts, portSummary, summaryAllows } from '../../lib/net/port-list.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { ExitPolicy } from '../../network-requester/policy/exit-policy.ts';
import { MAX_RULES, parseRules, rulesAllow, summaryOf } from '../../network-requester/policy/exit-rules.ts';
import { loadRules, reloadRules } from '../../network-requester/policy/policy-file.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Whether the rules of `text` allow `host:port`; the port is behind the last colon. */
function allows(text: string, place: string): boolean {
  const at = place.lastIndexOf(':');
  const address = parseAddress(place.slice(0, at).replace(/^\[|\]$/g, ''));
  if (address === undefined) throw new Error(`${place} is no address`);
  return rulesAllow(parseRules(text), address, Number(place.slice(at + 1)));
}

t.test('exit rules match addresses and ports, the first one decides', async (t) => {
  const table: readonly (readonly [rules: string, allowed: readonly string[], refused: readonly string[]])[] = [
    ['', ['8.8.8.8:80', '8.8.8.8:443', '[2606:4700::1]:53'], ['8.8.8.8:25', '[2606:4700::1]:465', '8.8.8.8:587']],
    ['accept *:25', ['8.8.8.8:25', '8.8.8.8:80'], ['8.8.8.8:465']],
    ['reject *:*', [], ['8.8.8.8:80', '[2606:4700::1]:80']],
    ['reject *', [], ['8.8.8.8:80']],
    ['accept *:80\nreject *:*', ['8.8.8.8:80', '[2606:4700::1]:80'], ['8.8.8.8:443']],
    ['reject *:80\naccept *:80', [], ['8.8.8.8:80']],
    ['reject 8.8.8.0/24:*', ['8.8.9.8:80', '[2606:4700::1]:80'], ['8.8.8.1:80', '8.8.8.255:9']],
    ['reject 8.8.0.0/255.255.0.0:*', ['8.9.0.1:80'], ['8.8.255.255:80']],
    ['reject 8.8.8.77/12:*', ['8.16.0.0:80'], ['8.0.0.0:80', '8.15.255.255:80']],
    ['reject 8.8.8.8:80', ['8.8.8.8:81', '8.8.8.9:80'], ['8.8.8.8:80']],
    ['reject *:1-100,8000,9000-9001', ['8.8.8.8:101', '8.8.8.8:8001'], ['8.8.8.8:1', '8.8.8.8:100', '8.8.8.8:9001']],
    ['reject *4:*', ['[2606:4700::1]:80'], ['8.8.8.8:80']],
    ['reject *6:*', ['8.8.8.8:80'], ['[2606:4700::1]:80']],
    ['reject6 *:*', ['8.8.8.8:80'], ['[2606:4700::1]:80']],
    ['accept6 *:*\nreject *:*', ['[2606:4700::1]:25'], ['8.8.8.8:80']],
    ['reject 0.0.0.0/0:*', ['[2606:4700::1]:80'], ['8.8.8.8:80']],
    ['reject [2606:4700::]/32:443', ['[2606:4701::1]:443', '[2606:4700::1]:80'], ['[2606:4700:ffff::1]:443']],
    [
      'reject6 [2606:4700::8]/125:*',
      ['[2606:4700::7]:1', '[2606:4700::10]:1'],
      ['[2606:4700::8]:1', '[2606:4700::f]:1'],
    ],
    ['reject private:*', ['8.8.8.8:80'], ['10.0.0.1:80', '127.0.0.1:80', '[::1]:80', '[64:ff9b::a00:1]:80']],
    ['reject private:1-79', ['10.0.0.1:80'], ['10.0.0.1:79']],
    ['ExitPolicy accept *:80, reject *:*', ['8.8.8.8:80'], ['8.8.8.8:81']],
    ['  REJECT *:80   # the web\n\n# nothing\r\n\taccept *:*\r', ['8.8.8.8:25'], ['8.8.8.8:80']],
    // Addresses that carry others inside are judged by both.
    [
      'reject 8.8.8.8:*',
      ['[64:ff9b::8.8.8.9]:80'],
      ['[::ffff:8.8.8.8]:80', '[64:ff9b::8.8.8.8]:80', '[2002:808:808::1]:80'],
    ],
    ['reject [::ffff:8.8.8.0]/120:*', ['8.8.9.0:80'], ['8.8.8.7:80', '[64:ff9b::8.8.8.7]:80']],
    ['accept6 [64:ff9b::]/96:*\nreject *:*', [], ['[64:ff9b::8.8.8.8]:80']],
    ['accept 8.8.8.8:*\naccept6 [64:ff9b::]/96:*\nreject *:*', ['[64:ff9b::8.8.8.8]:80'], ['[64:ff9b::8.8.8.9]:80']],
  ];
  for (const [rules, allowed, refused] of table) {
    for (const place of allowed) t.equal(allows(rules, place), true, `${rules || 'default'} lets ${place} through`);
    for (const place of refused) t.equal(allows(rules, place), false, `${rules || 'default'} refuses ${place}`);
  }
});

t.test('errors name the line and what to write', async (t) => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['accept *:80\nallow *:81', /^line 2: 'allow \*:81' is no rule: write accept or reject/],
    ['accept', /is no rule/],
    ['reject *:0', /^line 1: '0' are no ports/],
    ['reject *:65536', /no ports/],
    ['reject *:90-80', /no ports/],
    ['reject *:80,', /no ports/],
    ['reject *:http', /no ports/],
    ['reject 2001:db8::/32:80', /in brackets/],
    ['reject [2001:db8::/32:80', /in brackets/],
    ['reject 8.8.8.8/33:80', /'33' is no length of an IPv4 prefix/],
    ['reject 8.8.8.8/255.0.255.0:80', /no length/],
    ['reject [::1]/129:80', /no length of an IPv6 prefix/],
    ['reject [::1]/ffff:80', /no length/],
    ['reject 8.8.8:80', /neither an address/],
    ['reject example.org:80', /neither an address/],
    ['reject 8.8.8.8/8/8:80', /neither an address/],
    ['accept6 8.8.8.8:80', /accept6 concerns IPv6 only/],
    ['reject6 *4:80', /IPv6 only/],
  ];
  for (const [text, message] of table) t.throws(() => parseRules(text), { code: 'CONFIG', message }, text);
  t.throws(() => parseRules('reject *:1\n'.repeat(MAX_RULES + 1)), /at most/);
  t.equal(parseRules('reject *:1\n'.repeat(MAX_RULES)).length, MAX_RULES);
});

t.test('the summary says which ports are open to nearly everywhere', async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['', 'reject 25,465,587,2525'],
    ['accept *:*', 'accept 1-65535'],
    ['reject *:*', 'reject 1-65535'],
    ['accept *:80,443\nreject *:*', 'accept 80,443'],
    ['accept *:80\naccept *:81\nreject *:*', 'accept 80-81'],
    ['reject 8.8.0.0/16:*\naccept *:80\nreject *:*', 'accept 80'],
    ['reject 8.0.0.0/6:80\naccept *:80-81\nreject *:*', 'accept 81'],
    ['reject 0.0.0.0/1:*\nreject 128.0.0.0/1:*\naccept *:*', 'reject 1-65535'],
    ['accept 8.8.8.8:25\nreject *:1-100', 'reject 1-100,465,587,2525'],
    ['reject private:*\nreject6 *:*\naccept *:80\nreject *:*', 'accept 80'],
    ['accept6 *:80\nreject *:*', 'reject 1-65535'],
  ];
  for (const [rules, summary] of table) t.equal(summaryOf(parseRules(rules)), summary, rules);
  const sparse = Array.from({ length: 5000 }, (_, i) => 2 * i + 1).join(',');
  const long = summaryOf(parseRules(`accept *:${sparse}\nreject *:*`));
  t.ok(long.length <= 1000, 'fits a descriptor');
  t.match(long, /^accept 1,3,.*\d$/);
  t.same([summaryAllows(long, 101), summaryAllows(long, 102), summaryAllows(long, 9999)], [true, false, false]);
});

t.test('port ranges are read from text', async (t) => {
  t.same(parsePorts('80, 443'), [
    { first: 80, last: 80 },
    { first: 443, last: 443 },
  ]);
  for (const text of ['', '-1', '1-', '1-2-3', '123456', '1;2', ' ']) t.equal(parsePorts(text), undefined, text);
  t.same(otherPorts([{ first: 1, last: 65_535 }]), []);
  t.same(otherPorts([]), [{ first: 1, last: 65_535 }]);
  t.equal(portSummary([], 10), 'reject 1-65535');
  t.same([summaryAllows('accept 80', 80), summaryAllows('accept 80', 81)], [true, false]);
  t.same([summaryAllows('reject 80', 80), summaryAllows('reject 80', 81)], [false, true]);
  for (const unknown of [undefined, '', 'accept', 'accept *:443', 'maybe 80'])
    t.equal(summaryAllows(unknown, 80), true);
});

t.test('private addresses need leave of their own', async (t) => {
  const clock = new VirtualClock();
  const rules = parseRules('accept *:*');
  const addresses = ['10.0.0.1', '169.254.169.254', '8.8.8.8'];
  const texts = (allowPrivate: boolean) =>
    new ExitPolicy({ clock, allowPrivate, rules, ownAddresses: () => [] }).permitted(addresses, 80).map((a) => a.text);
  t.same(texts(false), ['8.8.8.8'], 'no rule opens them');
  t.same(texts(true), ['10.0.0.1', '8.8.8.8'], 'and nothing opens what is never reachable');
});

t.test("this machine's own addresses, also where they are inside others", async (t) => {
  const policy = new ExitPolicy({
    clock: new VirtualClock(),
    allowPrivate: false,
    ownAddresses: () => ['203.0.113.9', '198.51.100.7'],
  });
  const own = '198.51.100.7';
  // NAT64 (RFC 6052) and 6to4 (RFC 3056) of the own address, and of another.
  const asked = [own, '64:ff9b::c633:6407', '2002:c633:6407::1', '64:ff9b::808:808'];
  t.same(
    policy.permitted(asked, 80).map(({ text }) => text),
    ['64:ff9b::808:808'],
  );
});

t.test('the file of rules is read, and read again', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-policy-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'exit-policy');
  t.throws(() => loadRules(path), { code: 'CONFIG', message: `exit policy ${path}: does not exist` });
  writeFileSync(path, 'accept *:80\nreject *:*\n');
  const policy = new ExitPolicy({ clock: new VirtualClock(), allowPrivate: false, rules: loadRules(path) });
  t.equal(policy.summary, 'accept 80');
  const lines: string[] = [];
  const note = (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: note, error: note } as unknown as Log;

  writeFileSync(path, 'accept *:443\nrejekt *:*\n');
  t.equal(reloadRules(path, policy, log), false);
  t.equal(policy.summary, 'accept 80', 'a bad file changes nothing');
  t.match(lines, [/the exit policy was not changed.*line 2: 'rejekt \*:\*' is no rule/]);
  writeFileSync(path, '#'.repeat(300_000));
  t.equal(reloadRules(path, policy, log), false);
  t.match(lines.at(-1), /it can have at most 262144/);
  writeFileSync(path, 'accept *:443\nreject *:*\n');
  t.equal(reloadRules(path, policy, log), true);
  t.equal(policy.summary, 'accept 443');
  t.equal(lines.length, 3);
});
