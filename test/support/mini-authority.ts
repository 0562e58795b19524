/** The authority of a network in one process (mini-network.ts). */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { type Clock, systemClock } from '../../lib/core/clock.ts';
import { epochAt, type NetworkParams } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { laterEpoch } from '../../lib/core/units.ts';
import {
  type Consensus,
  type Descriptor,
  DOCUMENT_VERSION,
  type NetworkFile,
  networkId,
  signDocument,
  Verifier,
} from '../../lib/directory/index.ts';
import type { NodeIdentity } from '../../lib/link/index.ts';
import { crypto } from './signed-documents.ts';
import { epochNumber, unix } from './units.ts';

/** Not in the JSON of a record. */
const LEFT_OUT = { loops: undefined, capacity: undefined, shed: undefined, arrivalsPerSecond: undefined };

/** An authority that signs whatever has announced itself, as soon as all nodes have. */
export class MiniAuthority {
  readonly records = new Map<IdentityHex, Descriptor>();
  /** Set to keep a node out of later consensuses. */
  readonly hidden = new Set<IdentityHex>();
  readonly server: Server;
  readonly signed = new Map<number, string>();
  online = true;
  /** Of each gateway; without a number when undefined. */
  maxClients: number | undefined;

  constructor(
    readonly identity: NodeIdentity,
    readonly params: NetworkParams,
    readonly minimum: number,
    public network: NetworkFile,
    readonly clock: Clock = systemClock,
  ) {
    this.server = createServer(async (request, response) => {
      if (!this.online) {
        request.destroy();
        return;
      }
      const { status, body } = await this.#answer(request);
      response.writeHead(status).end(body);
    });
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    if (request.method === 'POST') {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const { descriptor } = new Verifier(this.network, crypto).descriptor(Buffer.concat(parts).toString('utf8'));
      this.records.set(descriptor.identity, descriptor);
      return { status: 200, body: 'ok\n' };
    }
    const epoch = Number(/^\/consensus\/(\d+)$/.exec(request.url ?? '')?.[1]);
    const text = this.#consensus(epoch);
    return text === undefined ? { status: 404, body: 'not yet\n' } : { status: 200, body: text };
  }

  #consensus(epoch: number): string | undefined {
    const ready = [...this.records.values()].filter((one) => one.sphinxKeys.some((key) => key.epoch === epoch));
    const ahead = epoch > epochAt(this.clock.wallMs(), this.params.epochMs);
    // a later epoch only when its descriptors carry keys for the one after it too
    if (ahead && ready.some((one) => !one.sphinxKeys.some((key) => key.epoch === epoch + 1))) return undefined;
    if (!this.signed.has(epoch)) {
      if (ready.length < this.minimum) return undefined;
      this.signed.set(epoch, signDocument('consensus', this.document(epoch, ready), this.identity.seed, crypto));
    }
    return this.signed.get(epoch);
  }

  /** Announces a requester that does not run. */
  addRequester({ id }: NodeIdentity, gateway: IdentityHex): void {
    const epoch = epochAt(this.clock.wallMs(), this.params.epochMs);
    const key = Buffer.from(crypto.x25519Base(systemRng.bytes(32))).toString('hex');
    const sphinxKeys = [epoch, laterEpoch(epoch, 1)].map((one) => ({ epoch: one, key }));
    const network = Buffer.from(networkId(this.network, crypto)).toString('hex');
    const name = 'requester-1';
    this.records.set(id, {
      ...{
        version: DOCUMENT_VERSION,
        network,
        publishedMs: this.clock.wallMs(),
        identity: id,
        role: 'requester',
        gateways: [{ gateway, madeMs: unix(Date.now()), signature: '00'.repeat(64) }],
        name,
        sphinxKeys,
      },
    });
  }

  document(epoch: number, descriptors: readonly Descriptor[]): Consensus {
    const { epochMs } = this.params;
    const nodes = descriptors
      .filter((one) => !this.hidden.has(one.identity))
      .map(({ version: _version, network: _network, publishedMs: _publishedMs, ...record }) => ({
        ...record,
        ...('gateways' in record ? { gateways: record.gateways.map(({ gateway }) => gateway) } : {}),
        ...LEFT_OUT,
        ...(record.role === 'gateway' ? { maxClients: this.maxClients } : {}),
      }))
      .sort((a, b) => (a.identity < b.identity ? -1 : 1));
    return {
      version: DOCUMENT_VERSION,
      network: Buffer.from(networkId(this.network, crypto)).toString('hex'),
      epoch: epochNumber(epoch),
      validAfterMs: unix(epoch * epochMs),
      freshUntilMs: unix((epoch + 1) * epochMs),
      validUntilMs: unix((epoch + 2) * epochMs),
      params: this.params,
      nodes: nodes as Consensus['nodes'],
    };
  }
}
