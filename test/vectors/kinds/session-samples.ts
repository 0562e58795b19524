/**
 * What is written and read in the vectors of sessions.
 * @module
 */
import { fixedHex, type Json } from '../kind.ts';

type Samples = Readonly<Record<string, Json>>;

const MAX_VARINT = Number.MAX_SAFE_INTEGER;
const SESSION_ID = fixedHex('session id', 16);
const BLOCKS = [1, 2, 3].map((n) => fixedHex(`block ${n}`, 372));
/** Hex, with blanks between fields. */
const read = (bytes: string): Json => ({ bytes: bytes.replaceAll(' ', '') });

export const VARINTS: Samples = Object.fromEntries(
  [0, 37, 63, 64, 15_293, 16_383, 16_384, 494_878_333, 2 ** 30 - 1, 2 ** 30, 2 ** 40, MAX_VARINT].map((value) => [
    String(value),
    { value },
  ]),
);

export const READ_VARINTS: Samples = {
  'longer than needed': read('4025'),
  'the longest form of 0': read('c000000000000000'),
  '2^53 - 1': read('c01fffffffffffff'),
  '2^53 is too much': read('c020000000000000'),
  'cut short': read('800000'),
  nothing: read(''),
};

export const ACKS: Samples = {
  'one number': { ranges: [[1, 1]] },
  'one range': { ranges: [[3, 17]] },
  'two ranges, one number missing': {
    ranges: [
      [5, 9],
      [1, 3],
    ],
  },
  'several ranges': {
    ranges: [
      [70_000, 70_100],
      [69_997, 69_998],
      [69_000, 69_900],
      [300, 300],
      [64, 127],
      [1, 2],
    ],
  },
};

export const READ_FRAMES: Samples = {
  'nothing but padding': read('00000000'),
  'nothing at all': read(''),
  PING: read('01'),
  'PING and padding': read('010000'),
  'ACK without further ranges': read('02050002'),
  'ACK with two further ranges': read('021402030100 0402'),
  'ACK down to 0, which nobody has sent': read('02050005'),
  'HELLO without a token': read('03030080100000 80040000'),
  'HELLO with a token': read('0303067365 73616d65 80100000 80040000'),
  'HELLO of another version': read('0301004000 4000'),
  'OPEN of a name': read('0400000b6578616d706c652e6f7267 0050'),
  'OPEN of kind udp': read('04070107302e302e302e30 0000'),
  'OPEN of an unknown kind can be read': read('040709016100 50'),
  OPENED: read('050007302e302e302e300000'),
  REFUSED: read('060001'),
  DATA: read('080340 40 05 68656c6c6f'),
  'DATA of no bytes': read('08000000'),
  'the last DATA': read('0900000568656c6c6f'),
  'the last DATA, of no bytes': read('09000500'),
  RESET: read('0a000a05'),
  STOP: read('0b000a'),
  MAX_DATA: read('0c80200000'),
  MAX_STREAM_DATA: read('0d0080080000'),
  DATAGRAM: read('0e0107302e302e302e300035 03 010203'),
  'SURBS with one block': read(`0f0080088b8001${BLOCKS[0]}`),
  'SURBS with two blocks and a frame behind them': read(`0f0180088b8002${BLOCKS[0]}${BLOCKS[1]}01`),
  RATE: read('10800186a0'),
  'RATE: burst': read('1000'),
  CLOSE: read('1106'),
  'CLOSE with HELLO behind it': read('110603030000 00'),
  CHALLENGE: read('120102030405060708'),
  RESPONSE: read('130102030405060708'),
  'a varint longer than needed': read('0c400a'),
  'malformed: an unknown type': read('07'),
  'malformed: another one behind a good frame': read('011f'),
  'malformed: CHALLENGE of seven bytes': read('1201020304050607'),
  'malformed: RESPONSE of seven bytes': read('1301020304050607'),
  'malformed: padding that is not zero': read('010001'),
  'malformed: ACK below 0': read('02050006'),
  'malformed: a second ACK': read('0205000002030000'),
  'malformed: ACK whose second range is below 0': read('020501000400'),
  'malformed: ACK with a range too few': read('0205020000'),
  'malformed: ACK cut short': read('0205'),
  'malformed: a token of 256 bytes': read(`03024100${'61'.repeat(256)}0000`),
  'malformed: a host of 256 bytes': read(`0400004100${'61'.repeat(256)}0050`),
  'malformed: a host that is not UTF-8': read('04000001ff0050'),
  'malformed: OPEN without its port': read('0400000161'),
  'malformed: DATA beyond the end': read('0800000568656c6c'),
  'malformed: DATA beyond 2^53 - 1': read('0800c01fffffffffffff0161'),
  'malformed: SURBS with no block': read('0f008008008000'),
  'malformed: SURBS with half a block': read(`0f0080088b8001${BLOCKS[0]?.slice(0, 372)}`),
  'malformed: a varint above 2^53 - 1': read('0cc020000000000000'),
};

const HELLO = { frame: 'HELLO', version: 3, token: '', sessionWindow: 1_048_576, streamWindow: 262_144 } as const;
const RATE = { frame: 'RATE', milliPerSecond: 100_000 } as const;
const SURBS = { frame: 'SURBS', generation: 0, lifeMs: 560_000, blocks: BLOCKS } as const;
const OPEN = { frame: 'OPEN', stream: 0, kind: 0, host: 'example.org', port: 80 } as const;
const GET = {
  frame: 'DATA',
  stream: 0,
  offset: 0,
  last: false,
  bytes: '474554202f20485454502f312e310d0a0d0a',
} as const;
const uplink = (number: number, ...frames: Json[]): Json => ({
  payloadBytes: 2048,
  sessionId: SESSION_ID,
  number,
  frames,
});

export const TO_REQUESTER: Samples = {
  'the first packet': uplink(1, HELLO, RATE, SURBS, OPEN, GET),
  'padding: number 0': uplink(0),
  'bytes at an offset, ACK first': uplink(
    70,
    {
      frame: 'ACK',
      ranges: [
        [40, 66],
        [38, 38],
        [1, 36],
      ],
    },
    { frame: 'MAX_DATA', limit: 2_097_152 },
    { frame: 'MAX_STREAM_DATA', stream: 0, limit: 524_288 },
    { frame: 'DATA', stream: 0, offset: 300, last: true, bytes: '21' },
  ),
  'a stream broken off': uplink(
    16_384,
    { frame: 'RESET', stream: 3, reason: 10, finalSize: 5000 },
    { frame: 'STOP', stream: 3, reason: 10 },
  ),
  'blocks of the second gateway': uplink(2 ** 30, { ...SURBS, generation: 1 }),
  'a datagram': uplink(9, { frame: 'DATAGRAM', stream: 2, host: '192.0.2.53', port: 53, bytes: 'abcdef' }),
  'the end of a session': uplink(10, { frame: 'CLOSE', reason: 0 }, { ...SURBS, blocks: BLOCKS.slice(0, 1) }),
};

const ACCOUNT = { received: 64, used: 20, expired: 3, evicted: 0, demand: 70_000 };
const NOTHING = { received: 0, used: 0, expired: 0, evicted: 0, demand: 0 };
const downlink = (number: number, account: Json, ...frames: Json[]): Json => ({
  payloadBytes: 2048,
  number,
  account,
  frames,
});

export const TO_PROXY: Samples = {
  'the first reply': downlink(
    1,
    { received: 3, used: 1, expired: 0, evicted: 0, demand: 0 },
    { frame: 'ACK', ranges: [[1, 1]] },
    { frame: 'OPENED', stream: 0, host: '0.0.0.0', port: 0 },
  ),
  'a slot filled: number 0': downlink(0, ACCOUNT),
  'number 0 with an ACK': downlink(0, ACCOUNT, {
    frame: 'ACK',
    ranges: [
      [12, 20],
      [1, 10],
    ],
  }),
  bytes: downlink(21, ACCOUNT, { frame: 'DATA', stream: 0, offset: 0, last: false, bytes: '485454502f312e3120323030' }),
  'a stream refused': downlink(5, ACCOUNT, { frame: 'REFUSED', stream: 4, reason: 5 }),
  'CLOSE for a session that is not known': downlink(2 ** 40 + 5, NOTHING, { frame: 'CLOSE', reason: 3 }),
  'CLOSE for another version, which names its own': downlink(
    2 ** 40 + 6,
    NOTHING,
    { frame: 'CLOSE', reason: 6 },
    { frame: 'HELLO', version: 2, token: '', sessionWindow: 0, streamWindow: 0 },
  ),
};

export const SURB_LIVES: Samples = {
  'epochs of an hour': { epochMs: 3_600_000, maxDelayMs: 10_000 },
  'epochs of a minute': { epochMs: 60_000, maxDelayMs: 10_000 },
  'epochs of 5 s, rounded down': { epochMs: 5_000, maxDelayMs: 0.5 },
  'epochs of a week': { epochMs: 604_800_000, maxDelayMs: 3_600_000 },
};

export const LOOK_UPS: Samples = {
  addresses: { addresses: ['192.0.2.7', '2001:db8::7'], names: [] },
  names: { addresses: [], names: ['example.org', 'www.example.org'] },
  nothing: { addresses: [], names: [] },
};

export const LARGE_DATAGRAMS: Samples = {
  'to a name': { host: 'example.org', port: 4433, bytes: '0102030405' },
  'of no bytes': { host: '192.0.2.7', port: 1, bytes: '' },
};
