/**
 * The front's HTTP: Node's server, which listens nowhere and is given connections. Its own timers are off: those of
 * connection.ts run on the injected clock.
 * @module
 */
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionContext } from '../context.ts';
import { HttpConnection } from './connection.ts';

/** Bytes of request line and fields together. */
export const MAX_HTTP_HEADER_BYTES = 16_384;

export class HttpFront {
  readonly #server: Server;
  readonly #connections = new WeakMap<Socket, HttpConnection>();

  constructor() {
    const server = createServer({
      maxHeaderSize: MAX_HTTP_HEADER_BYTES,
      requireHostHeader: false, // it is the target that says where a request goes
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
    });
    server.maxHeadersCount = 0; // bounded by their bytes
    // A client that has sent its FIN still gets its answer. Node has this switch, its types have not.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on('request', (request, response) => this.#of(request.socket)?.onRequest(request, response));
    server.on('checkContinue', (request, response) => this.#of(request.socket)?.onRequest(request, response));
    server.on('checkExpectation', (request, response) => this.#of(request.socket)?.onRequest(request, response));
    server.on('connect', (request, socket, early) => this.#of(socket as Socket)?.onConnect(request, early));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.#of(socket as Socket)?.onMalformed(error.code),
    );
    this.#server = server;
  }

  /** Takes over a connection that began with `bytes`. The socket must be paused. */
  serve(socket: Socket, bytes: Buffer, context: ConnectionContext): HttpConnection {
    const connection = new HttpConnection(socket, context);
    connection.start();
    this.#connections.set(socket, connection);
    socket.unshift(bytes);
    this.#server.emit('connection', socket);
    // Before the parser. It also makes Node read through the stream, where pausing works, instead of beside it.
    socket.prependListener('data', (bytes: Buffer) => connection.onData(bytes));
    socket.resume();
    return connection;
  }

  #of(socket: Socket): HttpConnection | undefined {
    return this.#connections.get(socket);
  }
}
