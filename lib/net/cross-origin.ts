/**
 * Which requests a browser sends on behalf of a page of another origin. Such a page must not learn what listens on a local
 * port, so these requests get no answer: the connection is closed without a byte, as by a program that speaks another
 * protocol.
 *
 * A page can neither remove nor forge the fields that are read here (forbidden request-headers of the Fetch standard).
 * Sec-Fetch-Site comes with every request to loopback, Origin with those that may change something and with WebSockets,
 * Referer where the page's policy lets it. curl, Prometheus and a browser's fetch of a PAC file send none of them.
 * @module
 */

/** Names and values by turns, as Node's parser gives them. */
type RawFields = readonly string[];

/**
 * For answers that a browser gets all the same, because it is too old for Sec-Fetch-Site or the address is not loopback:
 * no page of another origin may embed, frame or open them.
 */
export const SAME_ORIGIN_ONLY: Readonly<Record<string, string>> = {
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

/**
 * Whether Sec-Fetch-Site, Origin or Referer names another origin than that of the request, which is `http://` and its
 * Host. One field of several is enough, and so is a value that names no origin (`null`, or what no browser sends).
 */
export function isCrossOrigin(raw: RawFields): boolean {
  const hosts = valuesOf(raw, 'host');
  const own = hosts.length === 1 ? originOf(`http://${hosts[0]}`) : undefined;
  const isForeign = (url: string) => own === undefined || originOf(url) !== own;
  return (
    valuesOf(raw, 'sec-fetch-site').some((site) => site !== 'same-origin' && site !== 'none') ||
    valuesOf(raw, 'origin').some(isForeign) ||
    valuesOf(raw, 'referer').some(isForeign)
  );
}

/** Whether a browser sent it, for a person or a page. Browsers send Accept-Language always, other programs seldom. */
export function isFromBrowser(raw: RawFields): boolean {
  return raw.some((name, at) => at % 2 === 0 && /^(sec-fetch-.*|origin|referer|accept-language)$/i.test(name));
}

/**
 * Whether a request that could not be read to its end may be answered: `bytes`, the piece that the parser refused, begins
 * with a whole first line, and shows no field of a browser. A page can make a header that is too long.
 */
export function mayAnswerMalformed(bytes: Buffer): boolean {
  const [line = '', ...fields] = bytes.toString('latin1').split('\r\n');
  const names = fields.flatMap((field) => [field.split(':', 1)[0] ?? '', '']);
  return fields.length > 0 && /^[A-Z]+ \S+ HTTP\/1\.\d$/.test(line) && !isFromBrowser(names);
}

function valuesOf(raw: RawFields, wanted: string): string[] {
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === wanted);
}

/** Of an http:// URL; undefined for everything else. */
function originOf(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  return parsed?.protocol === 'http:' && parsed.username === '' ? parsed.origin : undefined;
}
