/**
 * Where the applications of this test process went, and whether a log tells. Whoever makes a site or asks for one notes
 * it here; every network looks at its logs when it stops.
 * @module
 */

const noted = new Set<string>();

/** A host, a port, a login: from now on no log may contain it as a word. */
export function noteDestination(...words: readonly (string | number)[]): void {
  for (const word of words) noted.add(String(word));
}

/** Loopback and "any" are what networks of tests consist of. */
const OWN_HOSTS = /^(127\.0\.0\.1|0\.0\.0\.0|localhost)$/;
const ADDRESS = /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|\[[0-9a-f:.]*:[0-9a-f:.]*\]/g;
const PORT = /:(\d{1,5})(?!\d)/g;
/** A time of day has colons, too. */
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;
const QUOTED_NUMBER = /"[a-zA-Z]+":\d+/g;

/**
 * The lines of `text` that name a destination. Addresses and ports that occur in `own`, or in the line by which a node says
 * where it listens, are the network's.
 */
export function leaksIn(text: string, own: readonly string[]): string[] {
  const lines = text.split('\n');
  const listening = lines.filter((line) => line.startsWith('listening '));
  const ofNetwork = [...own, ...listening];
  const ownPorts = new Set(ofNetwork.flatMap((file) => [...file.matchAll(PORT)].map(([, port]) => port)));
  const ownHosts = new Set(ofNetwork.flatMap((file) => [...file.matchAll(ADDRESS)].map(([address]) => address)));
  const words = [...noted].filter((word) => !OWN_HOSTS.test(word) && !ownPorts.has(word));
  const names = words.map((word) => new RegExp(`(?<![\\w-])${escaped(word)}(?![\\w-])`, 'i'));
  const tells = (line: string): boolean => {
    const bare = line.replace(TIME, '');
    const addresses = [...bare.matchAll(ADDRESS)].map(([address]) => address);
    if (addresses.some((address) => !OWN_HOSTS.test(address) && !ownHosts.has(address))) return true;
    const ports = [...bare.replace(QUOTED_NUMBER, '').matchAll(PORT)].map(([, port]) => port);
    return ports.some((port) => !ownPorts.has(port)) || names.some((name) => name.test(bare));
  };
  return lines.filter(tells);
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
