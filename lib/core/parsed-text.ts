/**
 * Texts that stand for values: JSON, and options that have a form of their own, such as an address.
 * @module
 */
import { z } from 'zod';
import { asMixError } from './errors.ts';

/** A text that `parse` reads: what it throws is the fault of the option, which then is named beside it. */
export const textFor = (parse: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    try {
      parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: asMixError(error).message });
    }
  });

/** What `text` says in JSON; undefined where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
