/**
 * One registry of Prometheus metrics per process. Counters are created by the part that counts; the names share the
 * prefix `mixsocks_`. Every drop has a reason label.
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from './prom-client.ts';

export class Metrics {
  readonly registry = new Registry();

  /** The counter of that name: two parts of a kind count in one. */
  counter<Label extends string = never>(name: string, help: string, labels: readonly Label[] = []): Counter<Label> {
    const known = this.registry.getSingleMetric(`mixsocks_${name}`);
    if (known instanceof Counter) return known;
    return new Counter({ name: `mixsocks_${name}`, help, labelNames: labels, registers: [this.registry] });
  }

  /** A counter whose values, one per value of `label`, are read when the metrics are. They must never sink. */
  counterOf<Value extends string>(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<Value, number>>,
  ): Counter<string> {
    return new Counter({
      name: `mixsocks_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries<number>(read())) this.inc({ [label]: value }, count);
      },
    });
  }

  /** A counter without labels whose value is read when the metrics are. It must never sink. */
  totalOf(name: string, help: string, read: () => number): Counter {
    return new Counter({
      name: `mixsocks_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** The gauge of that name. */
  gauge<Label extends string = never>(name: string, help: string, labels: readonly Label[] = []): Gauge<Label> {
    const known = this.registry.getSingleMetric(`mixsocks_${name}`);
    if (known instanceof Gauge) return known;
    return new Gauge({ name: `mixsocks_${name}`, help, labelNames: labels, registers: [this.registry] });
  }

  /** A gauge whose value is read when the metrics are. */
  gaugeOf(name: string, help: string, read: () => number): Gauge {
    return new Gauge({
      name: `mixsocks_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `mixsocks_${name}`, help, buckets, registers: [this.registry] });
  }

  /** The text exposition format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
