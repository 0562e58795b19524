import { handshakeFor } from '../../proxy/front/handshake/handshake.ts';
import type { HandshakeOptions, HandshakeStep } from '../../proxy/front/handshake/steps.ts';

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Steps in one line each. */
export function lines(steps: readonly HandshakeStep[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'send') return `send ${hex(step.bytes)}`;
    if (step.kind === 'refuse') return `refuse ${step.reason} ${hex(step.bytes)}`;
    const { protocol, host, port, isolation } = step.request;
    const token = isolation === undefined ? '' : ` token ${hex(Buffer.from(isolation, 'latin1'))}`;
    return `${protocol} ${host} ${port}${token} early ${hex(step.early)}`;
  });
}

/** What a fresh handshake makes of these messages, each pushed at once. */
export function converse(messages: readonly (Uint8Array | readonly number[])[], options: HandshakeOptions = {}) {
  const handshake = handshakeFor(messages[0]?.[0] ?? 0, options);
  return lines(messages.flatMap((message) => handshake.push(Buffer.from(message))));
}
