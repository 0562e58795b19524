/**
 * What the front answers in HTTP itself. A failure names its code in a field of its own, so that a program need not read
 * the text. The status comes from the table of lib/core/errors.ts.
 * @module
 */
import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../../lib/core/errors.ts';
import { SAME_ORIGIN_ONLY } from '../../../lib/net/cross-origin.ts';

/** The field that names the error code. No site can send it: it is removed from responses. */
export const ERROR_FIELD = 'Mixsocks-Error';

export interface HttpAnswer {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** No length and no body: what follows belongs to the tunnel (RFC 9110 section 9.3.6). */
export const ESTABLISHED: Uint8Array = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** The answer to a request that failed; `status` where that of the table, which is about the client's bytes, is not meant. */
export function failureAnswer(code: ErrorCode, status: number = ERRORS[code].httpStatus): HttpAnswer {
  const { meaning, help } = ERRORS[code];
  return textAnswer(status, `${code}: ${meaning}\n${help}\n`, [[ERROR_FIELD, code]]);
}

/** The site's bytes were no response. */
export const BAD_RESPONSE: HttpAnswer = failureAnswer('MALFORMED', 502);

export const HEADER_TOO_LARGE: HttpAnswer = textAnswer(431, 'the header of the request is too large\n', [
  [ERROR_FIELD, 'MALFORMED'],
]);

/** For `GET https://…`, `ftp://…`: what is not plain HTTP goes through a tunnel. */
export const SCHEME_NOT_CARRIED: HttpAnswer = textAnswer(
  501,
  'COMMAND: only http:// URLs are requested through this proxy\nuse CONNECT for https and everything else\n',
  [[ERROR_FIELD, 'COMMAND']],
);

export const UPGRADE_NOT_CARRIED: HttpAnswer = textAnswer(
  501,
  'COMMAND: Upgrade is not carried over a plain HTTP request\nuse CONNECT, which carries any protocol\n',
  [[ERROR_FIELD, 'COMMAND']],
);

export const CODING_NOT_CARRIED: HttpAnswer = textAnswer(
  501,
  'COMMAND: the only transfer coding of a request that is carried is chunked\nsend the body chunked or with its length\n',
  [[ERROR_FIELD, 'COMMAND']],
);

/** RFC 9110 section 10.1.1 knows one expectation, 100-continue. */
export const EXPECTATION_NOT_MET: HttpAnswer = textAnswer(417, 'COMMAND: only 100-continue may be expected\n', [
  [ERROR_FIELD, 'COMMAND'],
]);

/** `Max-Forwards: 0`: the request was meant for us (RFC 9110 section 7.6.2). */
export const LAST_FORWARD: HttpAnswer = textAnswer(200, '');

/** For a person who opened the port in a browser. */
export const NOT_A_SITE: HttpAnswer = textAnswer(
  405,
  `This is the port of mixsocks for applications.

Set it up as a SOCKS proxy, with names resolved by the proxy:

  curl      curl -x socks5h://HOST:PORT https://example.org/
  Firefox   Settings, Network: manual, SOCKS Host, SOCKS v5, "Proxy DNS when using SOCKS v5"
  Chromium  chromium --proxy-server=socks5://HOST:PORT

HOST:PORT is the address of this port. It is an HTTP proxy as well, for programs that know no other:
http_proxy=http://HOST:PORT https_proxy=http://HOST:PORT
`,
  [['Allow', 'CONNECT']],
);

function textAnswer(status: number, body: string, fields: HttpAnswer['fields'] = []): HttpAnswer {
  const common: HttpAnswer['fields'] = [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Length', String(Buffer.byteLength(body))],
    ['Cache-Control', 'no-store'],
    ['X-Content-Type-Options', 'nosniff'],
    ...Object.entries(SAME_ORIGIN_ONLY),
  ];
  return { status, body, fields: [...common, ...fields] };
}

/** The whole message, after which the connection ends. */
export function answerBytes({ status, fields, body }: HttpAnswer): Uint8Array {
  const lines = fields.map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, 'Connection: close'];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
