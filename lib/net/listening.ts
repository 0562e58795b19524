/**
 * Binds a server to an address and port.
 * @module
 */
import type { Server } from 'node:net';
import { asMixError, MixError, systemCode } from '../core/errors.ts';
import { type HostPort, joinHostPort } from './address.ts';

/**
 * Connections that the kernel keeps until this process takes them. The bounds of the listener decide who is closed; with Node's default of
 * 511 the kernel would, unseen, when more come at once than a busy process has taken. The kernel lowers it to its own bound (`somaxconn`).
 */
export const BACKLOG = 4096;

interface ListenOptions extends HostPort {
  /** An IPv6 address takes no IPv4. */
  readonly ipv6Only?: boolean;
  /** Of a server that listens: a failed accept (EMFILE), which concerns that connection only. */
  readonly onError?: (error: Error) => void;
}

/** Starts to listen; resolves with the port as bound (port 0 takes any free one). Rejects with LISTEN. */
export function listenOn(server: Server, options: ListenOptions): Promise<number> {
  const { host, port, ipv6Only = false, onError = () => {} } = options;
  return new Promise((resolve, reject) => {
    const onFailed = (error: Error) => reject(listenError(error, { host, port }));
    server.once('error', onFailed);
    server.listen({ host, port, ipv6Only, backlog: BACKLOG }, () => {
      server.off('error', onFailed);
      server.on('error', onError);
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}

/** The LISTEN error for a failed `listen`: one line that names the address and the reason. */
export function listenError(error: unknown, { host, port }: HostPort): MixError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'the port is in use',
    EACCES: 'this user may not use that port',
    EADDRNOTAVAIL: 'this machine does not have that address',
  };
  const reason = reasons[systemCode(error) ?? ''] ?? asMixError(error).message;
  return new MixError('LISTEN', `cannot listen on ${joinHostPort(host, port)}: ${reason}`, error);
}
