/** The part of the package that the proxy uses: the parser of its server side. The package has no types of its own. */
declare module 'socksv5/lib/server.parser.js' {
  /** What the parser needs of a socket. */
  interface ParserSource {
    on(event: 'data', listener: (chunk: Buffer) => void): unknown;
    removeListener(event: 'data', listener: (chunk: Buffer) => void): unknown;
    resume(): unknown;
    pause(): unknown;
    unshift(chunk: Buffer): unknown;
  }

  interface ParsedRequest {
    readonly cmd: 'connect' | 'bind' | 'udp';
    readonly dstAddr: string;
    readonly dstPort: number;
  }

  class Parser {
    constructor(stream: ParserSource);
    /** Whether the method negotiation is over, so that a request comes next. */
    authed: boolean;
    start(): void;
    stop(): void;
    on(event: 'methods', listener: (methods: Buffer) => void): this;
    on(event: 'request', listener: (request: ParsedRequest) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
  }

  export default Parser;
}
