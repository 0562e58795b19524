/**
 * The options of `mixsocks run`.
 * @module
 */
import { z } from 'zod';
import { proxyOptions, startOptions } from '../proxy-use/options.ts';

export const RunConfig = z.strictObject({
  ...proxyOptions,
  ...startOptions,
  sealed: z
    .boolean()
    .default(false)
    .describe('Linux: give the command a network of its own in which there is the proxy and nothing else'),
  direct: z
    .array(z.string())
    .default([])
    .describe('hosts that programs may connect to without the proxy (NO_PROXY); by default none, localhost included'),
});

export type RunConfig = z.infer<typeof RunConfig>;
