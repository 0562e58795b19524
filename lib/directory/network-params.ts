/**
 * The parameters of a network, as votes and consensus carry them.
 * @module
 */
import { z } from 'zod';
import { payloadBytes } from '../config/fields.ts';
import { minDeliveryRate } from '../core/params.ts';
import { perSessionParam, sessionContradiction } from '../core/session-params.ts';
import { minCapacity } from './capacity.ts';

/** Frames per second of a delivery clock: what replies and loops at their highest rates need. */
export const MAX_DELIVERY_RATE = 24_000;
/** Of sums of rates in floating point. */
const ROUNDING = 1e-6;
/** Packets that a network may want in a mix. */
export const MAX_MIXING_TARGET = 100_000;
/** Traffic classes in a consensus. */
export const MAX_CLASSES = 16;

/** A name in a document. */
export const label = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected 1 to 64 letters, digits, dots, dashes or underscores');

const rate = z.number().min(0, 'expected a rate from 0 to 10000').max(10_000, 'expected a rate from 0 to 10000');
const trafficClass = z
  .strictObject({
    mainRate: rate,
    replyRate: rate,
    loopRate: rate,
    dropRate: rate,
    deliveryRate: z.number().min(0).max(MAX_DELIVERY_RATE, `expected a rate from 0 to ${MAX_DELIVERY_RATE}`),
  })
  .refine(
    (rates) => rates.deliveryRate >= minDeliveryRate(rates) - ROUNDING,
    'expected a deliveryRate of at least 1.2 times the sum of replyRate and loopRate',
  );
const sessionParams = z
  .strictObject(
    perSessionParam((_name, { least, most }) => {
      const expected = `expected a whole number from ${least} to ${most}`;
      return z.int(expected).min(least, expected).max(most, expected);
    }),
  )
  .superRefine((params, context) => {
    const message = sessionContradiction(params);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
export const networkParams = z.strictObject({
  payloadBytes,
  meanDelayMs: z.number().min(0).max(600_000),
  maxDelayMs: z.number().min(0).max(3_600_000),
  epochMs: z
    .int()
    .min(5_000)
    .max(7 * 86_400_000),
  nodeLoopRate: rate,
  minCapacity,
  mixingTarget: z.int().min(0).max(MAX_MIXING_TARGET),
  clients: z.literal(['open', 'invited'], 'expected open or invited'),
  classes: z
    .record(label, trafficClass)
    .refine((classes) => Object.hasOwn(classes, 'standard'), 'expected a class "standard"')
    .refine((classes) => Object.keys(classes).length <= MAX_CLASSES, `expected at most ${MAX_CLASSES} classes`),
  session: sessionParams,
});
