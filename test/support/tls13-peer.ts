/**
 * A bare TLS 1.3 peer (RFC 8446; one suite, no options) that may present a certificate and sign with another key:
 * what an impostor would do and no TLS library lets one do. Node and OpenSSL refuse to load such a pair.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';

export interface Credentials {
  readonly certificatePem: string;
  /** Signs CertificateVerify; the impostor's own when it is not the certificate's. */
  readonly privateKeyPem: string;
}

type Role = 'client' | 'server';
const [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA] = [20, 21, 22, 23];
const SUITE = Buffer.from('1303', 'hex'); // TLS_CHACHA20_POLY1305_SHA256
const X25519 = Buffer.from('001d', 'hex');
const ED25519 = Buffer.from('0807', 'hex');
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const ALPN = Buffer.from('mixsocks/1');

const u8 = (n: number) => Buffer.from([n]);
const u16 = (n: number) => Buffer.from([n >> 8, n & 255]);
const u24 = (n: number) => Buffer.from([n >> 16, (n >> 8) & 255, n & 255]);
const vec8 = (...parts: Uint8Array[]) => Buffer.concat([u8(total(parts)), ...parts]);
const vec16 = (...parts: Uint8Array[]) => Buffer.concat([u16(total(parts)), ...parts]);
const vec24 = (...parts: Uint8Array[]) => Buffer.concat([u24(total(parts)), ...parts]);
const total = (parts: Uint8Array[]) => parts.reduce((sum, part) => sum + part.byteLength, 0);
const extension = (type: number, body: Uint8Array) => Buffer.concat([u16(type), vec16(body)]);
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest();
const hmac = (key: Uint8Array, data: Uint8Array) => createHmac('sha256', key).update(data).digest();
const ZEROS = Buffer.alloc(32);

/** HKDF-Expand-Label for lengths up to one hash (section 7.1). */
function expandLabel(secret: Uint8Array, label: string, context: Uint8Array, length = 32): Buffer {
  const info = Buffer.concat([u16(length), vec8(Buffer.from(`tls13 ${label}`)), vec8(context), u8(1)]);
  return hmac(secret, info).subarray(0, length);
}

/** One direction's keys. */
class Sealer {
  #sequence = 0n;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  constructor(readonly secret: Buffer) {
    this.#key = expandLabel(secret, 'key', Buffer.alloc(0));
    this.#iv = expandLabel(secret, 'iv', Buffer.alloc(0), 12);
  }

  seal(type: number, body: Uint8Array): Buffer {
    const header = Buffer.concat([Buffer.from('170303', 'hex'), u16(body.byteLength + 17)]);
    const cipher = createCipheriv('chacha20-poly1305', this.#key, this.#nonce(), { authTagLength: 16 });
    cipher.setAAD(header, { plaintextLength: body.byteLength + 1 });
    const sealed = Buffer.concat([cipher.update(Buffer.concat([body, u8(type)])), cipher.final()]);
    return Buffer.concat([header, sealed, cipher.getAuthTag()]);
  }

  open(header: Buffer, body: Buffer): { type: number; body: Buffer } {
    const decipher = createDecipheriv('chacha20-poly1305', this.#key, this.#nonce(), { authTagLength: 16 });
    decipher.setAAD(header, { plaintextLength: body.byteLength - 16 });
    decipher.setAuthTag(body.subarray(-16));
    const plain = Buffer.concat([decipher.update(body.subarray(0, -16)), decipher.final()]);
    return { type: plain[plain.byteLength - 1] ?? 0, body: plain.subarray(0, -1) };
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence++, 4);
    return nonce;
  }
}

/** How the handshake and the first exchange of data ended. */
export type Ending = { outcome: 'data'; data: Buffer } | { outcome: 'alert'; alert: number } | { outcome: 'closed' };

export class Tls13Peer {
  #transcript: Buffer = Buffer.alloc(0);
  #received: Buffer = Buffer.alloc(0);
  #messages: Buffer = Buffer.alloc(0);
  #ended = false;
  #reader: Sealer | undefined;
  #writer: Sealer | undefined;
  #handshakeSecret: Buffer = ZEROS;
  #alert: number | undefined;
  readonly #share = generateKeyPairSync('x25519');

  constructor(
    readonly socket: Socket,
    readonly role: Role,
    readonly credentials: Credentials,
  ) {
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
    });
  }

  /** Handshakes, sends `first` as data if given, and says what came back. */
  async run(first?: Uint8Array): Promise<Ending> {
    try {
      await (this.role === 'client' ? this.#handshakeAsClient() : this.#handshakeAsServer());
      if (first !== undefined) this.#record(DATA, first);
      for (;;) {
        const { type, body } = await this.#nextRecord();
        if (type === DATA) return { outcome: 'data', data: body };
      }
    } catch {
      return this.#alert === undefined ? { outcome: 'closed' } : { outcome: 'alert', alert: this.#alert };
    } finally {
      this.socket.destroy();
    }
  }

  async #handshakeAsClient(): Promise<void> {
    const hello = [
      Buffer.concat([Buffer.from('0303', 'hex'), randomBytes(32), vec8(randomBytes(32)), vec16(SUITE), vec8(u8(0))]),
      vec16(
        extension(43, vec8(Buffer.from('0304', 'hex'))),
        extension(10, vec16(X25519)),
        extension(13, vec16(ED25519)),
        extension(51, vec16(X25519, vec16(this.#publicShare()))),
        extension(16, vec16(vec8(ALPN))),
      ),
    ];
    this.#say(1, Buffer.concat(hello));
    this.#agree(serverShare(await this.#hear(2)));
    await this.#hear(8); // EncryptedExtensions
    await this.#hear(13); // CertificateRequest
    await this.#hear(11);
    await this.#hear(15);
    await this.#hear(20);
    const application = this.#applicationSecrets();
    this.#certify();
    this.#say(20, this.#finished(this.#writer));
    this.#writer = new Sealer(application.client);
    this.#reader = new Sealer(application.server);
  }

  async #handshakeAsServer(): Promise<void> {
    const clientHello = await this.#hear(1);
    const share = clientShare(clientHello);
    const sessionId = clientHello.subarray(35, 35 + (clientHello[34] ?? 0));
    const extensions = vec16(
      extension(43, Buffer.from('0304', 'hex')),
      extension(51, Buffer.concat([X25519, vec16(this.#publicShare())])),
    );
    const head = Buffer.concat([Buffer.from('0303', 'hex'), randomBytes(32), vec8(sessionId), SUITE, u8(0)]);
    this.#say(2, Buffer.concat([head, extensions]));
    this.#agree(share);
    this.#say(8, vec16(extension(16, vec16(vec8(ALPN)))));
    this.#say(13, Buffer.concat([vec8(), vec16(extension(13, vec16(ED25519)))]));
    this.#certify();
    this.#say(20, this.#finished(this.#writer));
    const application = this.#applicationSecrets();
    await this.#hear(11);
    await this.#hear(15);
    await this.#hear(20);
    this.#writer = new Sealer(application.server);
    this.#reader = new Sealer(application.client);
  }

  #publicShare(): Buffer {
    return this.#share.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  }

  #agree(theirs: Buffer): void {
    const publicKey: KeyObject = createPublicKey({
      key: Buffer.concat([X25519_SPKI, theirs]),
      format: 'der',
      type: 'spki',
    });
    const shared = diffieHellman({ privateKey: this.#share.privateKey, publicKey });
    const derived = expandLabel(hmac(ZEROS, ZEROS), 'derived', sha256(Buffer.alloc(0)));
    this.#handshakeSecret = hmac(derived, shared);
    const secret = (who: string) => expandLabel(this.#handshakeSecret, `${who} hs traffic`, sha256(this.#transcript));
    const [client, server] = [new Sealer(secret('c')), new Sealer(secret('s'))];
    this.#writer = this.role === 'client' ? client : server;
    this.#reader = this.role === 'client' ? server : client;
  }

  #applicationSecrets(): { client: Buffer; server: Buffer } {
    const master = hmac(expandLabel(this.#handshakeSecret, 'derived', sha256(Buffer.alloc(0))), ZEROS);
    const hash = sha256(this.#transcript);
    return { client: expandLabel(master, 'c ap traffic', hash), server: expandLabel(master, 's ap traffic', hash) };
  }

  #finished(sealer: Sealer | undefined): Buffer {
    return hmac(expandLabel(sealer?.secret ?? ZEROS, 'finished', Buffer.alloc(0)), sha256(this.#transcript));
  }

  #certify(): void {
    const { raw } = new X509Certificate(this.credentials.certificatePem);
    this.#say(11, Buffer.concat([vec8(), vec24(vec24(raw), vec16())]));
    const context = Buffer.from(`${' '.repeat(64)}TLS 1.3, ${this.role} CertificateVerify\0`);
    const signed = Buffer.concat([context, sha256(this.#transcript)]);
    const signature = sign(null, signed, createPrivateKey(this.credentials.privateKeyPem));
    this.#say(15, Buffer.concat([ED25519, vec16(signature)]));
  }

  #say(type: number, body: Uint8Array): void {
    const message = Buffer.concat([u8(type), vec24(body)]);
    this.#transcript = Buffer.concat([this.#transcript, message]);
    this.#record(HANDSHAKE, message);
  }

  #record(type: number, body: Uint8Array): void {
    const plain = () => Buffer.concat([u8(type), Buffer.from('0301', 'hex'), vec16(body)]);
    this.socket.write(this.#writer === undefined ? plain() : this.#writer.seal(type, body));
  }

  /** The body of the next handshake message, which must be of this type. */
  async #hear(type: number): Promise<Buffer> {
    while (this.#messages.byteLength < 4 || this.#messages.byteLength < 4 + this.#messages.readUIntBE(1, 3)) {
      const record = await this.#nextRecord();
      if (record.type === HANDSHAKE) this.#messages = Buffer.concat([this.#messages, record.body]);
    }
    const end = 4 + this.#messages.readUIntBE(1, 3);
    const message = this.#messages.subarray(0, end);
    this.#messages = this.#messages.subarray(end);
    if (message[0] !== type) throw new Error(`message ${message[0]} instead of ${type}`);
    this.#transcript = Buffer.concat([this.#transcript, message]);
    return message.subarray(4);
  }

  async #nextRecord(): Promise<{ type: number; body: Buffer }> {
    const whole = () =>
      this.#received.byteLength >= 5 && this.#received.byteLength >= 5 + this.#received.readUInt16BE(3);
    while (!whole()) {
      if (this.#ended) throw new Error('closed');
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
    const end = 5 + this.#received.readUInt16BE(3);
    const [header, sealed] = [this.#received.subarray(0, 5), this.#received.subarray(5, end)];
    this.#received = this.#received.subarray(end);
    const record =
      header[0] === DATA && this.#reader ? this.#reader.open(header, sealed) : { type: header[0] ?? 0, body: sealed };
    if (record.type === CHANGE_CIPHER_SPEC) return this.#nextRecord();
    if (record.type === ALERT) {
      this.#alert = record.body[1];
      throw new Error('alert');
    }
    return record;
  }
}

/** Walks a list of extensions to the one of `type`. */
function findExtension(list: Buffer, type: number): Buffer {
  for (let at = 0; at < list.byteLength; ) {
    const length = list.readUInt16BE(at + 2);
    if (list.readUInt16BE(at) === type) return list.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  throw new Error(`no extension ${type}`);
}

/** The X25519 share of a ServerHello. */
function serverShare(body: Buffer): Buffer {
  const extensions = 35 + (body[34] ?? 0) + 3 + 2;
  return findExtension(body.subarray(extensions), 51).subarray(-32);
}

/** The X25519 share of a ClientHello that offers no other. */
function clientShare(body: Buffer): Buffer {
  let at = 35 + (body[34] ?? 0);
  at += 2 + body.readUInt16BE(at);
  at += 1 + (body[at] ?? 0) + 2;
  return findExtension(body.subarray(at), 51).subarray(-32);
}
