/**
 * The adapter around the wire parser of `socksv5`, and the only file that knows the package. Bytes in, events out: the
 * parser is fed by hand instead of by a socket, so how the bytes were split plays no role and nothing of them is lost.
 *
 * The first bytes of a request are looked at here as well, because the parser does not tell the address type, names
 * its errors by text only, and has no command beyond the three of RFC 1928.
 * @module
 */
import { EventEmitter } from 'node:events';
import Parser from 'socksv5/lib/server.parser.js';
import { asBuffer } from '../../../lib/core/bytes.ts';

export const SOCKS5_VERSION = 5;

export const COMMAND = { connect: 0x01, bind: 0x02, udp: 0x03, resolve: 0xf0, resolvePtr: 0xf1 } as const;
export const ADDRESS_TYPE = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;

export interface WireRequest {
  /** The byte as the client sent it; one of COMMAND. */
  readonly command: number;
  readonly addressType: number;
  /** A dotted quad, eight groups of four hex digits, or the name as it came. */
  readonly host: string;
  readonly port: number;
}

export type WireFault = 'greeting' | 'version' | 'command' | 'address-type';

/** At most one event per `push`; `rest` is what the parser did not use. */
export type WireEvent =
  | { readonly kind: 'methods'; readonly methods: Uint8Array; readonly rest: Uint8Array }
  | { readonly kind: 'request'; readonly request: WireRequest; readonly rest: Uint8Array }
  | { readonly kind: 'fault'; readonly fault: WireFault };

/** Tor's RESOLVE commands have the form of a CONNECT: the parser is shown one. */
const EXTENDED_COMMANDS: ReadonlySet<number> = new Set([COMMAND.resolve, COMMAND.resolvePtr]);
const KNOWN_COMMANDS: ReadonlySet<number> = new Set(Object.values(COMMAND));

/** Stands in for the socket that the parser expects. */
class Feed extends EventEmitter {
  rest: Uint8Array = new Uint8Array(0);
  resume(): void {}
  pause(): void {}
  unshift(chunk: Buffer): void {
    this.rest = chunk;
  }
}

export class Socks5Wire {
  readonly #feed = new Feed();
  readonly #parser: Parser;
  /** Version, command, reserved byte and address type of the request, as far as they have come. */
  readonly #header: number[] = [];
  #inRequest = false;
  #event: WireEvent | undefined;

  constructor() {
    this.#parser = new Parser(this.#feed);
    this.#parser.on('methods', (methods) => {
      this.#event = { kind: 'methods', methods, rest: this.#feed.rest };
    });
    this.#parser.on('request', ({ dstAddr, dstPort }) => {
      const [, command = 0, , addressType = 0] = this.#header;
      const request = { command, addressType, host: dstAddr, port: dstPort };
      this.#event = { kind: 'request', request, rest: this.#feed.rest };
    });
    this.#parser.on('error', () => {
      this.#parser.stop(); // it goes on listening after some of its errors
      this.#event = { kind: 'fault', fault: this.#fault() };
    });
  }

  /** Goes on to the request, after the methods have been answered. */
  expectRequest(): void {
    this.#inRequest = true;
    this.#parser.authed = true;
    this.#parser.start();
  }

  push(bytes: Uint8Array): WireEvent | undefined {
    this.#event = undefined;
    this.#feed.rest = new Uint8Array(0);
    this.#feed.emit('data', asBuffer(this.#inRequest ? this.#watchHeader(bytes) : bytes));
    return this.#event;
  }

  /** Notes the bytes of the request's header, and hides the commands that the parser would refuse unread. */
  #watchHeader(bytes: Uint8Array): Uint8Array {
    const startedAt = this.#header.length;
    this.#header.push(...bytes.subarray(0, Math.max(0, 4 - startedAt)));
    const commandAt = 1 - startedAt;
    if (commandAt < 0 || !EXTENDED_COMMANDS.has(bytes[commandAt] ?? 0)) return bytes;
    const shown = Uint8Array.from(bytes);
    shown[commandAt] = COMMAND.connect;
    return shown;
  }

  #fault(): WireFault {
    if (!this.#inRequest) return 'greeting';
    const [version, command] = this.#header;
    if (version !== SOCKS5_VERSION) return 'version';
    return KNOWN_COMMANDS.has(command ?? 0) ? 'address-type' : 'command';
  }
}
