/**
 * Why an acceptor refuses with an answer, and what that means to a person. All other refusals get no answer.
 * @module
 */

/** By the number in byte 6 of the answer; 0: it does not refuse. */
const BY_NUMBER = [
  undefined,
  'full',
  'not-invited',
  'invitation-unknown',
  'invitation-expired',
  'invitation-revoked',
  'invitation-used-up',
] as const;

export type AnsweredRefusal = NonNullable<(typeof BY_NUMBER)[number]>;

/** Of a private network or gateway. */
export type AccessRefusal = Exclude<AnsweredRefusal, 'full'>;

/** The reason of a connection that was refused since there is no room. */
export const FULL = 'full';

export function refusalNumber(reason: AnsweredRefusal): number {
  return BY_NUMBER.indexOf(reason);
}

/** What the number in an answer says; `refused` for one that is not known. */
export function refusalOf(number: number): AnsweredRefusal | 'refused' | undefined {
  return number === 0 ? undefined : (BY_NUMBER[number] ?? 'refused');
}

export const ACCESS_REFUSALS: Readonly<Record<AccessRefusal, { readonly words: string; readonly remedy: string }>> = {
  'not-invited': {
    words: 'this network is private: its gateways let in invited clients only',
    remedy: 'get an invitation from who runs a gateway, and give it with --invitation',
  },
  'invitation-unknown': {
    words: 'the gateway does not know the invitation of this proxy',
    remedy: 'check that --invitation has the whole line; else ask who runs the gateway for a new one',
  },
  'invitation-expired': {
    words: 'the invitation of this proxy has expired before it was used',
    remedy: 'ask who runs the gateway for a new one, and give it with --invitation',
  },
  'invitation-revoked': {
    words: 'the invitation of this proxy was revoked',
    remedy: 'ask who runs the gateway for a new one, and give it with --invitation',
  },
  'invitation-used-up': {
    words: 'the invitation of this proxy is used up: as many devices as it is good for have come by it',
    remedy: 'ask who runs the gateway for a new one, and give it with --invitation',
  },
};

export function isAccessRefusal(reason: string): reason is AccessRefusal {
  return Object.hasOwn(ACCESS_REFUSALS, reason);
}
