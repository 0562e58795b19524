/**
 * The options of `mixsocks plan`.
 * @module
 */
import { z } from 'zod';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';

export const MOST_USERS = 10_000_000;
const CLASSES = Object.keys(DEFAULT_PARAMS.classes) as [string, ...string[]];

export const PlanConfig = z.strictObject({
  users: z.int().min(1).max(MOST_USERS).describe('people who use it at the same time'),
  class: z.enum(CLASSES).default('standard').describe('traffic class of all of them'),
  mixingTarget: z
    .number()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      'packets that each pool is to hold: the mean delay follows, from 40 to 200 ms (default: the delay of a new network)',
    ),
  json: z.boolean().default(false).describe('print the plan as one object'),
});
export type PlanConfig = z.infer<typeof PlanConfig>;
