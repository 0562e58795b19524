/**
 * The parts of prom-client that are used. The package as a whole loads eighty files more at each start, of tracing and of
 * metrics that nobody here collects: a fifth of the time that a role takes to load.
 * @module
 */
import { createRequire } from 'node:module';
import type * as PromClient from 'prom-client';

const load = createRequire(import.meta.url);

export type Counter<Label extends string = string> = PromClient.Counter<Label>;
export const Counter: typeof PromClient.Counter = load('prom-client/lib/counter');

export type Gauge<Label extends string = string> = PromClient.Gauge<Label>;
export const Gauge: typeof PromClient.Gauge = load('prom-client/lib/gauge');

export type Histogram<Label extends string = string> = PromClient.Histogram<Label>;
export const Histogram: typeof PromClient.Histogram = load('prom-client/lib/histogram');

export const Registry: typeof PromClient.Registry = load('prom-client/lib/registry');
