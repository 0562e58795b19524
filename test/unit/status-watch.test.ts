/** `mixsocks status --watch`: on a terminal, and where there is none. */
import { EventEmitter } from 'node:events';
import t from 'tap';
import { intervalMsOf, type WatchOptions, watchStatus } from '../../cli/status-watch.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { Status } from '../../proxy/index.ts';
import { STATUS } from '../support/status-fixture.ts';

class Output extends EventEmitter {
  text = '';
  rows = 6;
  columns = 20;
  constructor(readonly isTTY: boolean) {
    super();
  }
  write(text: string): void {
    this.text += text;
    this.emit('wrote');
  }
  /** Resolves when what was written since `clear` matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await new Promise((resolve) => this.once('wrote', resolve));
  }
  clear(): void {
    this.text = '';
  }
}

class Input extends EventEmitter {
  readonly modes: boolean[] = [];
  flowing = false;
  constructor(readonly isTTY: boolean) {
    super();
  }
  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }
  resume(): void {
    this.flowing = true;
  }
  pause(): void {
    this.flowing = false;
  }
  type(keys: string): void {
    this.emit('data', Buffer.from(keys));
  }
}

interface World {
  tty?: boolean;
  asJson?: boolean;
  fetch?: WatchOptions['fetch'];
  format?: WatchOptions['format'];
  intervalMs?: number;
}

function begin({ tty = false, asJson = false, ...rest }: World) {
  const output = new Output(tty);
  const input = new Input(tty);
  const stop = new AbortController();
  const complaints: string[] = [];
  let shown = 0;
  const ended = watchStatus({
    fetch: async () => STATUS,
    format: () => `status ${++shown}\n`,
    intervalMs: 1,
    complain: (line) => complaints.push(line),
    asJson,
    output,
    input,
    stop,
    ...rest,
  });
  return { output, input, stop, complaints, ended };
}

t.test('where there is no terminal, snapshots are appended until it is stopped', async (t) => {
  const { output, input, stop, ended } = begin({});
  await output.until(/status 3/);
  stop.abort();
  await ended;
  t.match(output.text, /^status 1\n\nstatus 2\n\nstatus 3\n/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would obey
  t.notMatch(output.text, /\x1b/);
  t.strictSame([input.flowing, input.modes], [false, []], 'the input is left alone');
  t.equal(output.listenerCount('error'), 0);
});

t.test('JSON comes one object a line', async (t) => {
  let uptimeSeconds = 0;
  const { output, stop, ended } = begin({
    asJson: true,
    fetch: async () => ({ ...STATUS, uptimeSeconds: uptimeSeconds++ }),
    format: (status) => `${JSON.stringify(status)}\n`,
  });
  await output.until(/"uptimeSeconds":4/);
  stop.abort();
  await ended;
  const lines = output.text.trimEnd().split('\n');
  t.strictSame(
    lines.slice(0, 5).map((line) => (JSON.parse(line) as Status).uptimeSeconds),
    [0, 1, 2, 3, 4],
  );
});

t.test('on a terminal it is drawn in place, and everything is put back at the end', async (t) => {
  for (const key of ['q', 'Q', '\x03', '\x04', 'xq', '\x1b[Bjq\x04']) {
    const { output, input, ended } = begin({ tty: true });
    await output.until(/status 2/);
    t.ok(output.text.startsWith('\x1b[?1049h\x1b[?25l'), 'a screen of its own, without cursor');
    t.match(output.text, '\x1b[Hstatus 1\x1b[K\r\nevery 0.001 s; q end'); // cut off at 20 columns
    t.match(output.text, '\x1b[J\x1b[Hstatus 2\x1b[K', 'from the same place');
    t.strictSame(input.modes, [true]);
    input.type(key);
    await ended;
    t.ok(output.text.endsWith('\x1b[?25h\x1b[?1049l'), 'cursor and screen are back');
    t.strictSame([input.flowing, input.modes.at(-1), input.listenerCount('data')], [false, false, 0]);
    t.equal(output.listenerCount('resize'), 0);
  }
});

t.test('it ends at once also while the proxy does not answer', async (t) => {
  const never = new Promise<Status>(() => {});
  let asked = 0;
  const { output, input, ended } = begin({ tty: true, fetch: () => (asked++ === 0 ? Promise.resolve(STATUS) : never) });
  await output.until(/status 1/);
  while (asked < 2) await new Promise((resolve) => setImmediate(resolve));
  input.type('q');
  await ended;
  t.ok(output.text.endsWith('\x1b[?1049l'));
  const early = begin({ tty: true, fetch: () => never });
  early.stop.abort();
  await early.ended;
  t.equal(early.output.text, '', 'before there was anything to show');
});

t.test('what does not fit is scrolled to, and a larger window shows more', async (t) => {
  const format = () => `${Array.from({ length: 12 }, (_, i) => `line ${i}`).join('\n')}\n`;
  const { output, input, ended } = begin({ tty: true, format, intervalMs: 1e6 });
  await output.until(/line 4/);
  t.notMatch(output.text, /line 5/);
  const after = async (act: () => void) => {
    output.clear();
    act();
    await output.until(/every/);
    return [...output.text.matchAll(/line (\d+)/g)].map(([, n]) => Number(n));
  };
  t.strictSame(await after(() => input.type('\x1b[B')), [1, 2, 3, 4, 5]);
  t.strictSame(await after(() => input.type('\x1b[6~')), [6, 7, 8, 9, 10]);
  t.strictSame(await after(() => input.type(' ')), [7, 8, 9, 10, 11], 'not beyond the end');
  t.strictSame(await after(() => input.type('k')), [6, 7, 8, 9, 10]);
  t.strictSame(
    await after(() => {
      output.rows = 40;
      output.emit('resize');
    }),
    Array.from({ length: 12 }, (_, i) => i),
  );
  input.type('q');
  await ended;
});

t.test('orders to the terminal in a name are not obeyed', async (t) => {
  const { output, input, ended } = begin({ tty: true, format: () => 'a\x1b[2Jb\x07c\x9bd\n' });
  await output.until(/every/);
  t.match(output.text, 'a?[2Jb?c?d');
  input.type('q');
  await ended;
});

t.test('a proxy that is gone later is said, and asked again', async (t) => {
  for (const tty of [true, false]) {
    let asked = 0;
    const fetch = async () => {
      asked++;
      if (asked === 2) throw new MixError('REFUSED', 'no proxy');
      return STATUS;
    };
    const { output, stop, complaints, ended } = begin({ tty, fetch });
    await output.until(/status 2/);
    stop.abort();
    await ended;
    if (tty) t.match(output.text, 'mixsocks status: no ', 'in the last line of the screen');
    else t.match(complaints, [/^mixsocks status: no proxy/]);
  }
});

t.test('a proxy that is not there from the beginning is an error', async (t) => {
  const fetch = () => Promise.reject(new MixError('REFUSED', 'no proxy'));
  const { output, ended } = begin({ tty: true, fetch });
  await t.rejects(ended, { code: 'REFUSED' });
  t.equal(output.text, '', 'the terminal was not touched');
});

t.test('it ends when nobody reads its output any more', async (t) => {
  const { output, ended } = begin({});
  await output.until(/status 1/);
  output.emit('error', new Error('EPIPE'));
  await t.resolves(ended);
});

t.test('the interval', async (t) => {
  t.strictSame(['2', '0.5', '3600'].map(intervalMsOf), [2000, 500, 3_600_000]);
  for (const wrong of ['0', '-1', 'x', '', '1e9', '3601', 'Infinity', '0x10'])
    t.throws(() => intervalMsOf(wrong), { code: 'USAGE' }, wrong);
});
