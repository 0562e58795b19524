/**
 * What the checks ask the machine. Tests give answers of their own.
 * @module
 */
import { statfsSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, totalmem } from 'node:os';
import { oneLine, systemCode } from '../../lib/core/errors.ts';
import { usableBytes } from '../../lib/core/memory-budget.ts';
import { listenFault } from '../../lib/net/own-address.ts';
import type { ListenAddress } from '../../proxy/front/listener.ts';
import { openFileLimit } from '../open-files.ts';

/** Time to connect to a port, and for a page. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Of a line that another program says. */
const MAX_LINE_LETTERS = 200;

export interface Machine {
  /** Addresses of its interfaces. */
  addresses(): readonly string[];
  /** Bytes that this user may still write in the file system of `dir`; undefined where that cannot be asked. */
  freeBytes(dir: string): number | undefined;
  /** Open files that the process may have, this one where `pid` is undefined; undefined where that cannot be asked. */
  openFileLimit(pid: number | undefined): number | undefined;
  /** Memory that processes may use, in bytes. */
  memoryBytes(): number;
  /** The system's code of the error when one listens there for a moment; undefined when that works. */
  listenFault(host: string, port: number): Promise<string | undefined>;
  /** Whether a connection is accepted there. */
  isReachable(address: ListenAddress): Promise<boolean>;
  /** The lines of a page of health, none where all is well; undefined where it does not answer. */
  healthFaults(url: string): Promise<readonly string[] | undefined>;
}

export const thisMachine: Machine = {
  addresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
  freeBytes(dir) {
    try {
      const { bavail, bsize } = statfsSync(dir);
      return bavail * bsize;
    } catch {
      return undefined;
    }
  },
  openFileLimit,
  memoryBytes: () => usableBytes(process.constrainedMemory?.(), totalmem()),
  async listenFault(host, port) {
    const fault = await listenFault(host, port);
    return systemCode(fault) ?? fault?.message;
  },
  isReachable(address) {
    return new Promise((resolve) => {
      const socket = address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host);
      const end = (reached: boolean) => {
        socket.destroy();
        resolve(reached);
      };
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(false));
      socket.once('connect', () => end(true));
      socket.once('error', () => end(false));
    });
  },
  async healthFaults(url) {
    try {
      const reply = await fetch(url, { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS), redirect: 'error' });
      if (reply.ok) return [];
      const lines = (await reply.text()).split('\n').filter((line) => line !== '');
      return lines.map((line) => oneLine(line, MAX_LINE_LETTERS));
    } catch {
      return undefined;
    }
  },
};
