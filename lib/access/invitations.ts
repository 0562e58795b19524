/**
 * The invitations of a client: which gateways they name, and what it shows to each of them. Its secret is one for all, in a file; the access keys that
 * follow from it differ from invitation to invitation.
 * @module
 */
import { fromHex, type IdentityHex, toHex } from '../core/bytes.ts';
import { MixError, systemCode, systemReason } from '../core/errors.ts';
import type { NetworkParams } from '../core/params.ts';
import { loadTextFile } from '../core/text-file.ts';
import {
  type AccessGrant,
  accessGrant,
  createFileDurably,
  parseInvitation,
  type Topology,
} from '../directory/index.ts';
import { SAMPLE_SIZE } from '../endpoint/index.ts';
import { ACCESS_REFUSALS, type AccessCredential, type AccessRefusal } from '../link/index.ts';
import type { Components } from '../runtime/components.ts';

const SECRET_BYTES = 32;

interface Held extends AccessGrant {
  readonly gateways: readonly IdentityHex[];
}

export class ClientInvitations {
  private constructor(
    private readonly held: readonly Held[],
    /** In the order in which they are used, which differs from client to client and stays the same over restarts. */
    private readonly gateways: readonly IdentityHex[],
  ) {}

  /**
   * Those of `lines`; undefined when there are none. The secret is made where `file` holds none yet. Rejects with CONFIG when there is no file,
   * or when it cannot be used.
   */
  static async load(
    lines: readonly string[],
    file: string | undefined,
    { crypto, rng }: Pick<Components, 'crypto' | 'rng'>,
  ): Promise<ClientInvitations | undefined> {
    if (lines.length === 0) return undefined;
    if (file === undefined) {
      const why = 'each start without one would use the invitation up anew';
      throw new MixError('CONFIG', `invitation: name an accessFile, too: ${why}`);
    }
    const secret = (await secretIn(file)) ?? (await newSecret(file, rng.bytes(SECRET_BYTES)));
    const held = lines.map((line) => {
      const { gateways, token } = parsed(line);
      return { gateways, ...accessGrant(token, secret, crypto) };
    });
    const rank = (id: IdentityHex) => toHex(crypto.sha256(Buffer.concat([secret, Buffer.from(id, 'hex')])));
    const named = [...new Set(held.flatMap(({ gateways }) => gateways))];
    const ranked = named.map((id) => ({ id, rank: rank(id) })).sort((a, b) => (a.rank < b.rank ? -1 : 1));
    return new ClientInvitations(
      held,
      ranked.map(({ id }) => id),
    );
  }

  /** The guards: of the gateways that are named and listed as many as a sample has. */
  listedIn(topology: Pick<Topology, 'byId'>) {
    const listed = this.gateways.flatMap((id) => topology.byId(id) ?? []);
    return listed.filter(({ role }) => role === 'gateway').slice(0, SAMPLE_SIZE);
  }

  /** What may be shown to a gateway: of those invitations that name it, the last given first. */
  accessTo(gateway: IdentityHex): readonly AccessCredential[] {
    const fitting = this.held.filter(({ gateways }) => gateways.includes(gateway)).reverse();
    return fitting.map(({ gateways: _gateways, ...credential }) => credential);
  }
}

/** Why a client is not let in, in one line, and what to do. `clients`: the parameter of the network. */
export function accessFault(refusal: AccessRefusal, clients: NetworkParams['clients'] | undefined): string {
  const { words, remedy } = ACCESS_REFUSALS[refusal];
  const isGatewayAlone = refusal === 'not-invited' && clients === 'open';
  return `${isGatewayAlone ? 'this gateway is private: it lets in invited clients only' : words}; ${remedy}`;
}

function parsed(line: string) {
  const invitation = parseInvitation(line);
  if (invitation !== undefined) return invitation;
  throw new MixError('CONFIG', 'invitation: is not the whole line that mixsocks gateway invite prints');
}

async function secretIn(file: string): Promise<Uint8Array | undefined> {
  try {
    const secret = fromHex((await loadTextFile(file, { isPrivate: true })).trim(), SECRET_BYTES);
    if (secret !== undefined) return secret;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof MixError) throw error;
    throw new MixError('CONFIG', `cannot read ${file}: ${systemReason(error)}`, error);
  }
  throw new MixError('CONFIG', `${file} is damaged: restore it, or delete it and ask for a new invitation`);
}

/** Of two that make it at once, one is kept. */
async function newSecret(file: string, secret: Uint8Array): Promise<Uint8Array> {
  try {
    if (await createFileDurably(file, `${toHex(secret)}\n`)) return secret;
  } catch (error) {
    throw new MixError('CONFIG', `cannot write ${file}: ${systemReason(error)}`, error);
  }
  return (await secretIn(file)) ?? secret;
}
