/**
 * Whether an address is this machine's.
 * @module
 */
import { createServer } from 'node:net';

/** Whether a program of this machine can use `address`. All of 127.0.0.0/8 where the system has it so (not on macOS). */
export function hasAddress(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(0, address, () => server.close(() => resolve(true)));
  });
}
