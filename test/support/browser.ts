/**
 * A real browser for tests: headless Chromium, spoken to over a pipe in the DevTools protocol.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Nothing but what a test asks for leaves this browser. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--remote-debugging-pipe',
];
const ANSWER_TIMEOUT_MS = 30_000;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

type Listener = (params: Readonly<Record<string, unknown>>) => void;

/** The part of tap's test that this needs. */
interface Scope {
  teardown(end: () => unknown): unknown;
}

export class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Map<string, Listener>();
  #rest = '';
  #nextId = 1;

  private constructor(path: string, flags: readonly string[]) {
    this.#profile = mkdtempSync(join(tmpdir(), 'mixsocks-chromium-'));
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const;
    this.#child = spawn(path, [...FLAGS, `--user-data-dir=${this.#profile}`, ...flags, 'about:blank'], {
      stdio: [...stdio],
    });
    this.#commands = this.#child.stdio[3] as Writable;
    this.#commands.on('error', () => {}); // the end of the process tells
    const events = this.#child.stdio[4] as Readable;
    events.setEncoding('utf8').on('data', (text: string) => this.#read(text));
  }

  /** Starts the browser at `path`; it ends with `t`. */
  static launch(t: Scope, path: string, flags: readonly string[] = []): Browser {
    const browser = new Browser(path, flags);
    t.teardown(() => browser.close());
    return browser;
  }

  async newPage(): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId));
    await page.enable();
    return page;
  }

  /** One command of the protocol; rejects with what the browser complains about. */
  send(method: string, params: object = {}, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    const id = this.#nextId++;
    const command = { id, method, params, ...(sessionId === undefined ? {} : { sessionId }) };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, ({ result = {}, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#commands.write(`${JSON.stringify(command)}\0`);
    });
  }

  on(sessionId: string, method: string, listener: Listener): void {
    this.#listeners.set(`${sessionId} ${method}`, listener);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#commands.end(`${JSON.stringify({ id: this.#nextId++, method: 'Browser.close' })}\0`);
      const killer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(killer);
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  #read(text: string): void {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#take(JSON.parse(part) as Message);
  }

  #take(message: Message): void {
    if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    } else {
      this.#listeners.get(`${message.sessionId} ${message.method}`)?.(message.params ?? {});
    }
  }
}

export class Page {
  /** URLs asked for, in order. */
  readonly requests: string[] = [];
  /** Exceptions, errors on the console, violations of the page's policy. */
  readonly complaints: string[] = [];

  constructor(
    readonly browser: Browser,
    readonly sessionId: string,
  ) {}

  send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.browser.send(method, params, this.sessionId);
  }

  async enable(): Promise<void> {
    this.browser.on(this.sessionId, 'Network.requestWillBeSent', ({ request }) => {
      this.requests.push((request as { url: string }).url);
    });
    this.browser.on(this.sessionId, 'Runtime.exceptionThrown', ({ exceptionDetails }) => {
      this.complaints.push(JSON.stringify(exceptionDetails));
    });
    this.browser.on(this.sessionId, 'Log.entryAdded', ({ entry }) => {
      const { level, text } = entry as { level: string; text: string };
      if (level === 'error' || level === 'warning') this.complaints.push(text);
    });
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.send(`${domain}.enable`);
  }

  /** Loads `url` and resolves when its load event has fired. */
  async goto(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) =>
      this.browser.on(this.sessionId, 'Page.loadEventFired', () => resolve()),
    );
    const { errorText } = await this.send('Page.navigate', { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    await loaded;
  }

  /** The value of a JavaScript expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value?: unknown }).value;
  }

  /** Resolves when an expression is true in the page, or throws after `timeoutMs`. */
  async until(expression: string, timeoutMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while ((await this.evaluate(expression)) !== true) {
      if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async resize(width: number, height: number): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** A PNG of the page, as far down as it goes. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(String(data), 'base64');
  }
}
