/**
 * Virtual time for simulations: a heap of events, fast enough for millions of them.
 */
interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class EventQueue {
  #heap: Event[] = [];
  #order = 0;
  nowMs = 0;
  sleptMs = 0;
  #untilMs = 0;

  at(atMs: number, run: () => void): void {
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[i] = heap[parent] as Event;
      i = parent;
    }
    heap[i] = event;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Runs events until `untilMs`, or until `done` says so; then it is that time. */
  run(untilMs: number, done: () => boolean = () => false): void {
    this.#untilMs = untilMs;
    while (this.#heap.length > 0 && (this.#heap[0] as Event).atMs <= this.#untilMs) {
      const event = this.#pop();
      this.nowMs = event.atMs;
      event.run();
      if (done()) return;
    }
    this.nowMs = this.#untilMs;
  }

  /** Everything stands still for `ms`, as when the whole machine sleeps. */
  sleep(ms: number): void {
    this.nowMs += ms;
    this.sleptMs += ms;
    this.#untilMs += ms;
    this.#heap = this.#heap.map((event) => ({ ...event, atMs: event.atMs + ms }));
  }

  #pop(): Event {
    const heap = this.#heap;
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[i] = heap[child] as Event;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
