/**
 * The door of a private gateway: its real list of guests behind real links, on invitations in real files. A mutant puts another
 * list in its place.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { GuestList, type GuestListOptions } from '../../gateway/guest-list.ts';
import { type InvitationFiles, type InvitationTerms, invitationFiles } from '../../gateway/invitation-files.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { ADDRESS_BYTES } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { accessGrant, invitationKeyOf, newToken, tokenIdOf } from '../../lib/directory/index.ts';
import { ACCESS_END, withAccess } from '../../lib/link/access.ts';
import { Dial } from '../../lib/link/dial.ts';
import { encodeHello, refusalIn } from '../../lib/link/hello.ts';
import { type AccessCredential, type AccessProof, createIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/limits.ts';
import { ALPN, secureOptionsOf } from '../../lib/link/tls.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { NETWORK_ID, PACKET_BYTES, type TestListener, testListener, until } from './link-fixtures.ts';
import { SettableClock } from './virtual-clock.ts';

export const crypto = createCrypto('fastest');
const TERMS = { networkId: NETWORK_ID, packetBytes: PACKET_BYTES };
const FRAME_BYTES = PACKET_BYTES + ADDRESS_BYTES;
const CLIENT = { trafficClass: 'standard', clocked: false };

export interface DoorParts {
  readonly GuestList: new (options: GuestListOptions) => GuestList;
  readonly crypto: GuestListOptions['crypto'];
  readonly files: (dir: string) => InvitationFiles;
}

const REAL: DoorParts = { GuestList, crypto, files: invitationFiles };

/** What a device with this number shows of the invitation that has this token. */
export function credential(token: string, device: number): AccessCredential {
  return accessGrant(token, new Uint8Array(32).fill(device), crypto);
}

export class PrivateDoor {
  /** The time of day. */
  readonly clock = new SettableClock();
  isPrivate = true;
  listener!: TestListener;
  guests!: GuestList;
  /** Proofs that were shown. */
  readonly shown: AccessProof[] = [];

  private constructor(
    readonly dir: string,
    readonly parts: DoorParts,
  ) {}

  static async open(t: Test, parts: Partial<DoorParts> = {}): Promise<PrivateDoor> {
    const dir = await mkdtemp(join(tmpdir(), 'mixsocks-door-'));
    const door = new PrivateDoor(dir, { ...REAL, ...parts });
    t.teardown(async () => {
      await door.listener.close();
      await rm(dir, { recursive: true, force: true });
    });
    await door.restart();
    return door;
  }

  /** Another process on the same folder: what was in memory is lost. */
  async restart(parts: Partial<DoorParts> = {}): Promise<void> {
    await this.listener?.close();
    const { GuestList, crypto, files } = { ...this.parts, ...parts };
    const guests = new GuestList({
      files: files(this.dir),
      clock: this.clock,
      crypto,
      log: silentLog,
      isPrivate: () => this.isPrivate,
      onRevoked: () => this.listener.recheck(),
    });
    await guests.open();
    this.guests = guests;
    this.listener = await testListener({
      admit: (_peer, _kind, client) => {
        if (client?.access !== undefined) this.shown.push(client.access);
        return guests.admits(client?.access, () => true);
      },
    });
  }

  /** The operator makes an invitation, and the gateway knows it. Its token. */
  async invite(terms: Partial<InvitationTerms> = {}): Promise<string> {
    const token = newToken(systemRng);
    const createdMs = this.clock.wallMs();
    await invitationFiles(this.dir).create({ key: invitationKeyOf(token, crypto), uses: 1, createdMs, ...terms });
    await this.guests.upkeep();
    return token;
  }

  async revoke(token: string): Promise<void> {
    await invitationFiles(this.dir).revoke(tokenIdOf(invitationKeyOf(token, crypto)), this.clock.wallMs());
    await this.guests.upkeep();
  }

  /** A client dials: 'up', or why not. */
  async dial(access?: AccessCredential, identity?: NodeIdentity): Promise<string> {
    const own = identity ?? (await createIdentity(systemRng));
    return new Promise((resolve) => {
      Dial.start({
        ...DEFAULT_LINK_LIMITS,
        context: createSecureContext(secureOptionsOf(own, 'any')),
        keyExchange: 'any',
        target: this.listener.target(),
        kind: 'client',
        terms: TERMS,
        client: CLIENT,
        access,
        clock: systemClock,
        onUp: () => resolve('up'),
        onFrame: () => {},
        onDown: resolve,
      });
    });
  }

  /** Somebody dials by hand, with these 192 bytes in the place of a proof; the answer. */
  async dialWith(part: Uint8Array): Promise<string> {
    return this.#byHand((socket) => {
      const frame = Buffer.alloc(FRAME_BYTES);
      frame.set(encodeHello('client', TERMS, CLIENT));
      frame.set(part, 192);
      socket.write(frame);
    });
  }

  /** A client sends its hello up to the proof, and the rest when that was judged and `between` is done; the answer. */
  async dialSlowly(access: AccessCredential, between: () => Promise<void>): Promise<string> {
    return this.#byHand(async (socket) => {
      const frame = Buffer.alloc(FRAME_BYTES);
      const channel = { socket, peer: this.listener.target().id, networkId: NETWORK_ID };
      frame.set(withAccess(encodeHello('client', TERMS, CLIENT), access, channel));
      socket.write(frame.subarray(0, ACCESS_END));
      await until(() => this.shown.length > 0);
      await between();
      socket.write(frame.subarray(ACCESS_END));
    });
  }

  async #byHand(act: (socket: TLSSocket) => void | Promise<void>): Promise<string> {
    const own = await createIdentity(systemRng);
    const socket = connect({
      host: '127.0.0.1',
      port: this.listener.port,
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN],
      key: own.privateKeyPem,
      cert: own.certificatePem,
    });
    return new Promise((resolve) => {
      socket.on('error', () => {});
      socket.once('close', () => resolve('closed'));
      socket.once('secureConnect', () => void act(socket));
      socket.once('data', (answer: Buffer) => {
        resolve(refusalIn(answer) ?? 'up');
        socket.destroy();
      });
    });
  }
}

/** The bytes of a proof as it stood in a hello. */
export function bytesOf({ invitation, accessKey, grant, proof }: AccessProof): Uint8Array {
  return Buffer.concat([invitation, accessKey, grant, proof]);
}
