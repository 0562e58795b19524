/**
 * The list of all descriptors that an authority holds: `GET /descriptors` (docs/PROTOCOL.md section 4.5).
 * @module
 */
import { z } from 'zod';
import { MAX_NODES } from '../documents.ts';
import { DocumentRefused } from '../refusal.ts';

/** Bytes of the list. */
export const MAX_DESCRIPTOR_LIST_BYTES = 32 * 1024 * 1024;

/** No authority holds more: what a longer one would cost to read is not worth it. */
const list = z.strictObject({ descriptors: z.array(z.unknown()).max(MAX_NODES) });

/** The envelopes in a list, none of them checked; throws DocumentRefused. */
export function parseDescriptorList(text: string): string[] {
  const parsed = list.safeParse(jsonOf(text));
  if (!parsed.success) throw new DocumentRefused('malformed', 'the list of descriptors is not one');
  return parsed.data.descriptors.map((envelope) => JSON.stringify(envelope));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
