import t from 'tap';
import { type AddressScope, isPermitted, parseAddress } from '../../lib/net/address-policy.ts';

const TABLE: Readonly<Record<AddressScope, readonly string[]>> = {
  public: [
    ...['1.1.1.1', '8.8.8.8', '93.184.216.34', '11.0.0.1', '172.15.255.255', '172.32.0.1', '192.167.255.255'],
    ...[
      '100.63.255.255',
      '100.128.0.0',
      '169.253.1.1',
      '168.63.129.15',
      '168.63.129.17',
      '223.255.255.255',
      '192.31.196.1',
    ],
    ...['2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2620:4f:8000::1'],
    ...['::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1'],
  ],
  private: [
    ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1'],
    ...['100.64.0.1', '100.127.255.255', '192.0.2.2', '198.51.100.1', '203.0.113.9', '198.18.0.1', '198.19.255.255'],
    ...['fd20:ce::253', 'fd00:ec3::254', '2606:4700::5efe:a00:1'],
    ...['::1', 'fc00::1', 'fd12:3456:789a::1', 'fec0::1', '2001:db8::1', '3fff::1', '2001:2::1'],
    ...['::ffff:127.0.0.1', '::ffff:10.1.2.3', '::ffff:c0a8:1', '0:0:0:0:0:ffff:7f00:1'],
    ...[
      '64:ff9b::127.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b:1::8.8.8.8',
      '64:ff9b:1::10.0.0.1',
      '2002:7f00:1::',
      '2002:c0a8:101::1',
    ],
  ],
  never: [
    ...['0.0.0.0', '0.1.2.3', '169.254.169.254', '169.254.0.1', '224.0.0.1', '239.255.255.255', '255.255.255.255'],
    ...['240.0.0.1', '192.0.0.1', '192.0.0.192', '100.100.100.200', '168.63.129.16', '192.88.99.1', '192.52.193.1'],
    ...['fd00:ec2::253', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42', 'fd00:a9fe:a9fe::1', 'fd00:100::100:200'],
    ...['::ffff:168.63.129.16', '64:ff9b::a83f:8110', '2002:a83f:8110::1', '64:ff9b:1::168.63.129.16'],
    ...['2606:4700::5efe:a83f:8110', '2606:4700::200:5efe:a9fe:a9fe', '64:ff9b::100.100.100.200'],
    ...['::', 'fe80::1', 'febf::1', 'ff02::1', 'ff0e::1', 'fd00:ec2::254', '100::1', '5f00::1'],
    ...['2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:10::1', '2001:20::1', '2001:30::1', '2001:1::1', '2001:3::1'],
    ...['::ffff:169.254.169.254', '::ffff:0.0.0.0', '::ffff:0:127.0.0.1', '::127.0.0.1', '::8.8.8.8', '::2'],
    ...['64:ff9b::169.254.169.254', '64:ff9b::224.0.0.1', '64:ff9b::0.0.0.0', '2002:a9fe:a9fe::1', '2002::1'],
    ...['64:ff9b:1::169.254.169.254', '64:ff9b:1:a9fe:a9:fe00::', '4000::1', '1000::1', '8000::1', 'a000::'],
  ],
};

for (const [scope, addresses] of Object.entries(TABLE)) {
  t.test(scope, async (t) => {
    for (const address of addresses) t.equal(parseAddress(address)?.scope, scope, address);
  });
}

t.test('public addresses are permitted, private ones when allowed, some never', async (t) => {
  t.same([isPermitted('public', false), isPermitted('public', true)], [true, true]);
  t.same([isPermitted('private', false), isPermitted('private', true)], [false, true]);
  t.same([isPermitted('never', false), isPermitted('never', true)], [false, false]);
});

t.test('addresses are parsed to their canonical text', async (t) => {
  t.match(parseAddress('::ffff:10.1.2.3'), { text: '10.1.2.3', family: 4 });
  t.match(parseAddress('2001:0DB8:0:0:1:0:0:1'), { text: '2001:db8::1:0:0:1', family: 6 });
  t.match(parseAddress('::1.2.3.4'), { text: '::102:304', family: 6 }, 'compatible is not mapped');
  for (const text of ['', 'example.org', '1.2.3', '127.1', '1.2.3.4 ', 'fe80::1%1', '[::1]', '01.2.3.4', '1::2::3']) {
    t.equal(parseAddress(text), undefined, text);
  }
});
