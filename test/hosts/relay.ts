/**
 * A relay for TCP before a node, which announces its address: what is on the way can be slow, stand still, or be reset.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Scope } from '../support/localnet.ts';

export interface Relay {
  readonly port: number;
  /** From now on every byte is so much later. */
  delayMs: number;
  /** While it is set nothing goes on. */
  stands: boolean;
  /** Connections that were carried. */
  readonly count: () => number;
  /** Resets all connections. */
  reset(): void;
}

/** Carries what comes to the address `host` on to the target. */
export async function startRelay(t: Scope, host: string, target: { host: string; port: number }): Promise<Relay> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    count += 1;
    // from its own address: what a gateway sees an exit come from, the exit holds for its own and connects to no site there
    const far = connect({ ...target, localAddress: host, allowHalfOpen: true, noDelay: true });
    carry(near, far);
    carry(far, near);
  });
  const relay: Relay = {
    port: 0,
    delayMs: 0,
    stands: false,
    count: () => count,
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
  const carry = (from: Socket, to: Socket) => {
    sockets.add(from);
    let last = Promise.resolve();
    const later = (run: () => void) => {
      const dueMs = performance.now() + relay.delayMs;
      last = last.then(async () => {
        while (performance.now() < dueMs || (relay.stands && !from.destroyed)) await pause();
        if (!to.destroyed) run();
      });
    };
    from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
    from.on('end', () => later(() => to.end()));
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return Object.assign(relay, { port: (server.address() as AddressInfo).port });
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
