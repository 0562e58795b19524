import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { type Descriptor, type NetworkFile, saveNetworkFile, Verifier } from '../../lib/directory/index.ts';
import { crypto, testNetwork } from './signed-documents.ts';

/** An authority that takes every announcement, and has what documents it is given. */
export interface ListeningAuthority {
  readonly network: NetworkFile;
  /** What was announced, in order. */
  readonly heard: Descriptor[];
  /** Envelopes of the descriptors that it holds. */
  descriptors: string[];
  /** The consensus of an epoch. */
  consensus: (epoch: number) => string | undefined;
  /** The time of day that it says, Unix milliseconds. */
  wallMs: () => number;
}

/** Starts one, and writes the network.json that names it. */
export async function listeningAuthority(t: Test, networkFile: string): Promise<ListeningAuthority> {
  const server = createServer(async (request, response) => {
    response.setHeader('Date', new Date(authority.wallMs()).toUTCString());
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    if (request.method === 'POST') {
      authority.heard.push(verifier.descriptor(Buffer.concat(parts).toString('utf8')).descriptor);
      response.end('ok\n');
      return;
    }
    const epoch = /^\/consensus\/(\d+)$/.exec(request.url ?? '')?.[1];
    const text =
      epoch === undefined ? `{"descriptors":[${authority.descriptors}]}` : authority.consensus(Number(epoch));
    response.writeHead(text === undefined ? 404 : 200).end(text ?? 'not yet\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const plain = testNetwork(1, 1, 3600);
  const network = { ...plain, authorities: plain.authorities.map(({ id }) => ({ id, url })) };
  const authority: ListeningAuthority = {
    network,
    heard: [],
    descriptors: [],
    consensus: () => undefined,
    wallMs: Date.now,
  };
  const verifier = new Verifier(network, crypto);
  await saveNetworkFile(networkFile, network);
  return authority;
}
