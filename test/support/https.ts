/**
 * A web server on loopback that speaks TLS with a certificate of its own.
 * @module
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

/** The part of tap's test that this needs. */
interface Scope {
  teardown(end: () => unknown): unknown;
}

export interface TestHttps {
  readonly port: number;
  /** The certificate: what a client that trusts nobody else has to be given. */
  readonly ca: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A key and a self-signed certificate for the names `names`. */
async function certificate(names: readonly string[]): Promise<{ key: string; cert: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const alternatives = names.map((value) => ({ type: 'dns' as const, value }));
  const cert = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=test',
      notBefore: new Date('2020-01-01'),
      notAfter: new Date('2100-01-01'),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new SubjectAlternativeNameExtension(alternatives)],
    },
    webcrypto as unknown as Parameters<typeof X509CertificateGenerator.createSelfSigned>[1],
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
  return { key, cert: cert.toString('pem') };
}

/** Serves `answer` over TLS as `localhost`, until `t` ends. */
export async function startHttps(t: Scope, answer: RequestListener): Promise<TestHttps> {
  const { key, cert } = await certificate(['localhost']);
  const server = createServer({ key, cert, keepAliveTimeout: 0 }, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, ca: cert };
}
