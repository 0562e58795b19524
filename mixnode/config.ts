/**
 * Configuration of a mixnode.
 * @module
 */
import * as z from 'zod';
import { nodeOptions } from '../lib/node/config.ts';

export const MixnodeConfig = z.strictObject({
  ...nodeOptions,
  layer: z
    .number()
    .int()
    .min(1)
    .max(3)
    .optional()
    .describe('layer of the network that this mix works in: 1, 2 or 3 (default: the authorities choose)'),
});

export type MixnodeConfig = z.infer<typeof MixnodeConfig>;
