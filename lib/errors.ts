/**
 * Typed errors. One table maps a code to what a SOCKS client is told, to the exit code of the process and to a
 * line of help; nothing decides by the text of a message.
 * @module
 */

interface ErrorFacts {
  /** SOCKS5 REP field (RFC 1928 section 6). */
  readonly socksReply: number;
  /** Exit code when the error ends the process. */
  readonly exitCode: number;
  /** What a person can do about it. */
  readonly help: string;
}

export const ERRORS = {
  // What the user gave us
  USAGE: { socksReply: 1, exitCode: 2, help: 'run the command with --help' },
  CONFIG: { socksReply: 1, exitCode: 3, help: 'correct the configuration file, flag or environment variable named' },
  IDENTITY: { socksReply: 1, exitCode: 4, help: 'run `mixsocks init` for this folder, or restore its key files' },
  DOCUMENT: { socksReply: 3, exitCode: 5, help: 'check network.json and ask the authority operators' },
  LISTEN: { socksReply: 1, exitCode: 6, help: 'choose another address or port, or stop what uses it' },
  // What the network lacks
  NO_CONSENSUS: { socksReply: 3, exitCode: 7, help: 'check that a directory authority of network.json can be reached' },
  NO_GATEWAY: { socksReply: 3, exitCode: 7, help: 'check the network connection; no gateway could be reached' },
  NO_REQUESTER: { socksReply: 3, exitCode: 7, help: 'the network lists no requester that serves this; try later' },
  NO_ROUTE: { socksReply: 3, exitCode: 7, help: 'the network lists too few nodes for a route; try later' },
  LINK: { socksReply: 3, exitCode: 7, help: 'check that both ends run the same network and the right keys' },
  // What became of a stream
  POLICY: { socksReply: 2, exitCode: 1, help: 'the exit or this proxy does not allow that destination' },
  NET_UNREACHABLE: { socksReply: 3, exitCode: 1, help: 'the exit has no route to that network' },
  NOT_FOUND: { socksReply: 4, exitCode: 1, help: 'the name does not exist' },
  HOST_UNREACHABLE: { socksReply: 4, exitCode: 1, help: 'the exit cannot reach that host' },
  REFUSED: { socksReply: 5, exitCode: 1, help: 'nothing listens on that port' },
  TIMEOUT: { socksReply: 6, exitCode: 1, help: 'no answer in time; try again' },
  COMMAND: { socksReply: 7, exitCode: 1, help: 'use CONNECT' },
  ADDRESS_TYPE: { socksReply: 8, exitCode: 1, help: 'give an IPv4 address, an IPv6 address or a host name' },
  LIMIT: { socksReply: 1, exitCode: 1, help: 'a limit of docs/LIMITS.md is reached; close something and try again' },
  SESSION_CLOSED: { socksReply: 1, exitCode: 1, help: 'the exit ended the session; try again' },
  RESET: { socksReply: 1, exitCode: 1, help: 'the other end broke the connection off; try again' },
  // Bytes and ourselves
  MALFORMED: { socksReply: 1, exitCode: 1, help: 'the other side sent bytes that are not the protocol' },
  CRYPTO: { socksReply: 1, exitCode: 1, help: 'a key or a ciphertext is not valid' },
  INTERNAL: { socksReply: 1, exitCode: 70, help: 'this is a defect of mixsocks; please report it' },
} as const satisfies Record<string, ErrorFacts>;

export type ErrorCode = keyof typeof ERRORS;

export class MixError extends Error {
  override readonly name = 'MixError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }

  get facts(): ErrorFacts {
    return ERRORS[this.code];
  }
}

/** `error` if it is a MixError already, else an INTERNAL one around it. */
export function asMixError(error: unknown): MixError {
  if (error instanceof MixError) return error;
  return new MixError('INTERNAL', error instanceof Error ? error.message : String(error), error);
}

/** The code of a Node system error (`ECONNREFUSED`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
