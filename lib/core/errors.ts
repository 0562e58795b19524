/**
 * Typed errors. One table maps a code to the replies in every protocol of the front, to what the log
 * says, to the exit code of the process and to a line of help; nothing decides by the text of a message.
 * @module
 */
import { environmentFault } from './system-errors.ts';

export { systemCode, systemReason } from './system-errors.ts';

export interface ErrorFacts {
  /** SOCKS5 REP field (RFC 1928 section 6). */
  readonly socksReply: number;
  /** SOCKS5 REP field of a listener with extended errors, where RFC 1928 has no code of its own: 0xf0 and above. */
  readonly extendedReply?: number;
  /** Status of the answer to an HTTP CONNECT. */
  readonly httpStatus: number;
  /** Exit code when the error ends the process. */
  readonly exitCode: number;
  /** What happened, for the log and for people; names nobody and no destination. */
  readonly meaning: string;
  /** What a person can do about it. */
  readonly help: string;
}

export const ERRORS = {
  // What the user gave us
  USAGE: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 2,
    meaning: 'the command line is wrong',
    help: 'run the command with --help',
  },
  CONFIG: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 3,
    meaning: 'the configuration is wrong',
    help: 'correct the configuration file, flag or environment variable named',
  },
  IDENTITY: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 4,
    meaning: 'the key files are missing or damaged',
    help: 'run `mixsocks init` for this folder, or restore its key files',
  },
  DOCUMENT: {
    socksReply: 3,
    httpStatus: 503,
    exitCode: 5,
    meaning: 'a document of the directory is not valid',
    help: 'check network.json and ask the authority operators',
  },
  LISTEN: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 6,
    meaning: 'the address cannot be listened on',
    help: 'choose another address or port, or stop what uses it',
  },
  ENVIRONMENT: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 8,
    meaning: 'the operating system refused it',
    help: 'mend what the message names and try again',
  },
  // What the network lacks
  NO_CONSENSUS: {
    socksReply: 3,
    extendedReply: 0xf0,
    httpStatus: 503,
    exitCode: 7,
    meaning: 'there is no valid consensus of the network',
    help: 'check that a directory authority of network.json can be reached',
  },
  NO_GATEWAY: {
    socksReply: 3,
    extendedReply: 0xf1,
    httpStatus: 503,
    exitCode: 7,
    meaning: 'no gateway answers',
    help: 'check the network connection; no gateway could be reached',
  },
  NO_REQUESTER: {
    socksReply: 3,
    extendedReply: 0xf2,
    httpStatus: 503,
    exitCode: 7,
    meaning: 'no exit can be used',
    help: 'the network lists no requester that serves this; try later',
  },
  NO_ROUTE: {
    socksReply: 3,
    extendedReply: 0xf3,
    httpStatus: 503,
    exitCode: 7,
    meaning: 'the network has too few nodes for a route',
    help: 'the network lists too few nodes for a route; try later',
  },
  LINK: {
    socksReply: 3,
    extendedReply: 0xf3,
    httpStatus: 503,
    exitCode: 7,
    meaning: 'a link of the network failed',
    help: 'check that both ends run the same network and the right keys',
  },
  // What became of a stream
  POLICY: {
    socksReply: 2,
    httpStatus: 403,
    exitCode: 1,
    meaning: 'the destination is not allowed',
    help: 'the exit or this proxy does not allow that destination',
  },
  UNSAFE: {
    socksReply: 2,
    extendedReply: 0xf4,
    httpStatus: 403,
    exitCode: 1,
    meaning: 'the program sent an address where a name was meant',
    help: 'let the proxy resolve names: socks5h:// instead of socks5://, "Proxy DNS" in Firefox',
  },
  NET_UNREACHABLE: {
    socksReply: 3,
    httpStatus: 502,
    exitCode: 1,
    meaning: 'the exit cannot reach that network',
    help: 'the exit has no route to that network',
  },
  NOT_FOUND: {
    socksReply: 4,
    extendedReply: 0xf5,
    httpStatus: 404,
    exitCode: 1,
    meaning: 'the name does not exist',
    help: 'check the spelling of the name',
  },
  HOST_UNREACHABLE: {
    socksReply: 4,
    httpStatus: 502,
    exitCode: 1,
    meaning: 'the host cannot be reached, or its name servers do not answer',
    help: 'the exit cannot reach that host',
  },
  REFUSED: {
    socksReply: 5,
    httpStatus: 502,
    exitCode: 1,
    meaning: 'the connection was refused',
    help: 'nothing listens on that port',
  },
  TIMEOUT: {
    socksReply: 6,
    httpStatus: 504,
    exitCode: 1,
    meaning: 'no answer came in time',
    help: 'no answer in time; try again',
  },
  COMMAND: {
    socksReply: 7,
    httpStatus: 501,
    exitCode: 1,
    meaning: 'the command is not supported',
    help: 'use CONNECT',
  },
  ADDRESS_TYPE: {
    socksReply: 8,
    httpStatus: 400,
    exitCode: 1,
    meaning: 'the destination is neither an address nor a name',
    help: 'give an IPv4 address, an IPv6 address or a host name',
  },
  LIMIT: {
    socksReply: 1,
    extendedReply: 0xf6,
    httpStatus: 503,
    exitCode: 1,
    meaning: 'a limit is reached',
    help: 'a limit of docs/LIMITS.md is reached; close something and try again',
  },
  SESSION_CLOSED: {
    socksReply: 1,
    extendedReply: 0xf7,
    httpStatus: 502,
    exitCode: 1,
    meaning: 'the exit ended the session',
    help: 'the exit ended the session; try again',
  },
  RESET: {
    socksReply: 1,
    extendedReply: 0xf8,
    httpStatus: 502,
    exitCode: 1,
    meaning: 'the connection was broken off',
    help: 'the other end broke the connection off; try again',
  },
  // Bytes and ourselves
  MALFORMED: {
    socksReply: 1,
    httpStatus: 400,
    exitCode: 1,
    meaning: 'bytes that are not the protocol',
    help: 'the other side sent bytes that are not the protocol',
  },
  CRYPTO: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 1,
    meaning: 'a key or a ciphertext is not valid',
    help: 'a key or a ciphertext is not valid',
  },
  INTERNAL: {
    socksReply: 1,
    httpStatus: 500,
    exitCode: 70,
    meaning: 'a defect of mixsocks',
    help: 'this is a defect of mixsocks; please report it',
  },
} as const satisfies Record<string, ErrorFacts>;

/** SOCKS4 has one code for every failure: request rejected or failed. */
export const SOCKS4_FAILURE = 0x5b;

export type ErrorCode = keyof typeof ERRORS;

/** Whether `word` is a code of the table. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(ERRORS, word);
}

/** The row of a code, with the columns that not every row has. */
export function factsOf(code: ErrorCode): ErrorFacts {
  return ERRORS[code];
}

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

/** `error` if it is a MixError already; ENVIRONMENT around an error of the file system; else INTERNAL around it. */
export function asMixError(error: unknown): MixError {
  if (error instanceof MixError) return error;
  const fault = environmentFault(error);
  if (fault !== undefined) return new MixError('ENVIRONMENT', fault, error);
  return new MixError('INTERNAL', error instanceof Error ? error.message : String(error), error);
}

/** What others have chosen goes into logs and status as one printable line of at most `letters`. */
export function oneLine(text: string, letters: number): string {
  return text
    .slice(0, 4 * letters)
    .replace(/[^ -~]+/g, ' ')
    .trim()
    .slice(0, letters);
}
