/**
 * What the front answers in HTTP. A failure names its code in a field of its own, so that a program need not read the
 * text. The status comes from the table of lib/errors.ts.
 * @module
 */
import { ERRORS, type ErrorCode } from '../lib/errors.ts';

/** Reason phrases of the statuses in use (RFC 9110 section 15; 431 is RFC 6585). */
const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** No length and no body: what follows belongs to the tunnel (RFC 9110 section 9.3.6). */
export const HTTP_ESTABLISHED: Uint8Array = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** The answer to a CONNECT that failed. */
export function httpFailure(code: ErrorCode): Uint8Array {
  const { httpStatus, meaning, help } = ERRORS[code];
  return answer(httpStatus, `${code}: ${meaning}\n${help}\n`, [`Mixsocks-Error: ${code}`]);
}

export const HTTP_HEADER_TOO_LARGE: Uint8Array = answer(431, 'the header of the request is too large\n', [
  'Mixsocks-Error: MALFORMED',
]);

const HOW_TO = `Set it up as a SOCKS proxy, with names resolved by the proxy:

  curl      curl -x socks5h://HOST:PORT https://example.org/
  Firefox   Settings, Network: manual, SOCKS Host, SOCKS v5, "Proxy DNS when using SOCKS v5"
  Chromium  chromium --proxy-server=socks5://HOST:PORT

HOST:PORT is the address of this port. A program that knows HTTP proxies only can use it too, for https and
whatever else it sends through CONNECT (curl: --proxytunnel).
`;

/** For a program that sent the URL of a page elsewhere. */
export const HTTP_NOT_A_PROXY: Uint8Array = answer(
  501,
  `mixsocks is not a proxy for plain HTTP requests: it makes tunnels.\n\n${HOW_TO}`,
);

/** For a person who opened the port in a browser. */
export const HTTP_NOT_A_SITE: Uint8Array = answer(405, `This is the port of mixsocks for applications.\n\n${HOW_TO}`, [
  'Allow: CONNECT',
]);

function answer(status: number, body: string, fields: readonly string[] = []): Uint8Array {
  const head = [
    `HTTP/1.1 ${status} ${PHRASES[status] ?? ''}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    ...fields,
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
