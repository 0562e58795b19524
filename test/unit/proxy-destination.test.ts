import t from 'tap';
import { checkDestination, parseDestination } from '../../lib/net/destination.ts';

/** What becomes of a host: its canonical form, or the code. */
function verdict(host: string, allowPrivate = false): string {
  const result = checkDestination(host, allowPrivate);
  return result.ok ? `${result.destination.kind} ${result.destination.host}` : result.code;
}

t.test('names are written in one form', async (t) => {
  t.equal(verdict('Example.ORG'), 'name example.org');
  t.equal(verdict('example.org.'), 'name example.org', 'the root dot changes nothing');
  t.equal(verdict('_dmarc.a-b.example'), 'name _dmarc.a-b.example', 'underscores exist');
  t.equal(verdict('xn--bcher-kva.example'), 'name xn--bcher-kva.example');
  t.equal(verdict('bücher.example'), 'name xn--bcher-kva.example', 'UTF-8 from a program without IDNA');
  t.equal(verdict(`${'a'.repeat(63)}.example`), `name ${'a'.repeat(63)}.example`);
});

t.test('malformed hosts are refused', async (t) => {
  const longName = `${'a.'.repeat(126)}aa`;
  t.equal(longName.length, 254);
  const hosts = ['', '.', '..', 'a..b', '.a.example', 'a.example..', 'a\0.example', 'a\n.example', 'user@example.org'];
  const more = [
    'a b.example',
    'a/b.example',
    'a:b.example',
    'a%b.example',
    '[example.org]',
    '[',
    '[]',
    '\u007f.example',
  ];
  const invalid = ['\ufffd.example', 'a\u0000.example', `${'a'.repeat(64)}.example`, longName, 'http://a.example/'];
  for (const host of [...hosts, ...more, ...invalid]) {
    t.equal(verdict(host), 'ADDRESS_TYPE', JSON.stringify(host));
    t.equal(verdict(host, true), 'ADDRESS_TYPE', JSON.stringify(host));
  }
});

t.test('address literals are read in any form', async (t) => {
  t.equal(verdict('93.184.216.34'), 'address 93.184.216.34');
  t.equal(verdict('2606:2800:0220:0001:0248:1893:25c8:1946'), 'address 2606:2800:220:1:248:1893:25c8:1946');
  t.equal(verdict('[2606:4700::1111]'), 'address 2606:4700::1111');
  t.equal(verdict('::ffff:93.184.216.34'), 'address 93.184.216.34', 'mapped is IPv4');
  t.equal(verdict('fe80::1%eth0'), 'ADDRESS_TYPE', 'a zone means nothing elsewhere');
  for (const host of [
    '127.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '0x7f.0.0.1',
    '１２７.0.0.1',
    '127.0.0.1.',
  ]) {
    t.equal(verdict(host), 'POLICY', `${host} is loopback in disguise`);
    t.equal(verdict(host, true), 'address 127.0.0.1', host);
  }
  for (const host of ['256.256.256.256', '1.2.3.4.5', '08.1.1.1', '4294967296', 'example.123', '0x']) {
    t.equal(verdict(host), 'ADDRESS_TYPE', `${host} is neither`);
  }
});

t.test('private names are refused unless they are allowed', async (t) => {
  const hosts = ['localhost', 'foo.localhost', 'LOCALHOST.', 'printer.local', 'intranet', 'nas.home.arpa', 'home.arpa'];
  const overlays = ['expyuzz4wqqyqhjn.onion', 'a.i2p', 'a.alt', 'db.internal', 'pc.lan', 'x.corp', 'x.localdomain'];
  for (const host of [...hosts, ...overlays]) {
    t.equal(verdict(host), 'POLICY', host);
    t.match(verdict(host, true), /^name /, `${host} when allowed`);
  }
  for (const host of ['localhost.example', 'onion.example', 'notlocal.example', 'myhome.arpa', 'no-such.invalid']) {
    t.match(verdict(host), /^name /, host);
  }
});

t.test('parsing alone refuses no address', async (t) => {
  t.same(parseDestination('169.254.169.254'), { kind: 'address', host: '169.254.169.254', family: 4 });
});
