/**
 * Why a request was refused, slow or broken off, in plain words: the one table that page, command line and JSON read. It
 * answers "is it me?": each reason says where its cause lies, and what to do. None names a destination, an address or an
 * identity. docs/TROUBLESHOOTING.md lists them all.
 * @module
 */
import { ACCESS_REFUSALS, type AccessRefusal } from '../../link/index.ts';

/** Where the cause lies. */
export type Place = 'this machine' | 'the program' | 'the network' | 'the exit' | 'the site' | 'unknown';

export interface ReasonFacts {
  readonly where: Place;
  /** What happened. */
  readonly words: string;
  /** What a person can do. */
  readonly remedy: string;
}

const inNetwork = (refusal: AccessRefusal) => ({ where: 'the network', ...ACCESS_REFUSALS[refusal] }) as const;

/** Why a gateway lets nobody in without an invitation, or with this one. */
const ACCESS_REASONS = {
  'not-invited': inNetwork('not-invited'),
  'invitation-unknown': inNetwork('invitation-unknown'),
  'invitation-expired': inNetwork('invitation-expired'),
  'invitation-revoked': inNetwork('invitation-revoked'),
  'invitation-used-up': inNetwork('invitation-used-up'),
} as const satisfies Record<AccessRefusal, ReasonFacts>;

export const REASONS = {
  // This machine
  'clock-wrong': {
    where: 'this machine',
    words: 'the clock of this machine is wrong',
    remedy: 'set the date and time, or turn on their synchronisation (NTP)',
  },
  'machine-slow': {
    where: 'this machine',
    words: 'this machine is too slow for its rates: it did not send or read packets in time',
    remedy: 'end other work on it, or use a traffic class with fewer packets (localnet: lower --rate and --reply-rate)',
  },
  'private-destination': {
    where: 'this machine',
    words: 'the proxy does not let private or loopback destinations through',
    remedy: 'reach them without the proxy; if the exit is meant to reach them, start both with --allow-private',
  },
  'identities-full': {
    where: 'this machine',
    words: 'more programs with logins of their own had connections open than --max-identities allows',
    remedy: 'close some connections, or raise --max-identities',
  },
  'rates-shared': {
    where: 'this machine',
    words: 'many programs with logins of their own shared the packets of this proxy',
    remedy: 'use fewer logins at a time, or a faster traffic class',
  },
  'streams-full': {
    where: 'this machine',
    words: 'one program has as many connections open as a session carries',
    remedy: 'close some connections, or give parts of the program logins of their own',
  },
  'connections-full': {
    where: 'this machine',
    words: 'programs have as many connections to the proxy as --max-connections allows',
    remedy: 'close some programs, or raise --max-connections',
  },
  'class-rate': {
    where: 'this machine',
    words: 'a transfer went as fast as the traffic class lets it',
    remedy: 'use a faster traffic class, if the network has one, or --downlink burst, which shows when you download',
  },
  defect: {
    where: 'this machine',
    words: 'something failed that should not: a defect of mixsocks',
    remedy: 'report it, with the log of --log-level debug',
  },
  // The program
  'address-for-name': {
    where: 'the program',
    words: 'a program sent an address where a name was meant, which --safe-socks refuses',
    remedy: 'let the proxy resolve names: socks5h:// instead of socks5://, "Proxy DNS" in Firefox',
  },
  'bad-request': {
    where: 'the program',
    words: 'a program asked for a command that is not supported, or for no valid destination',
    remedy: 'use CONNECT, UDP ASSOCIATE or RESOLVE, with a host name or address and a port that is not 0',
  },
  'not-a-request': {
    where: 'the program',
    words: 'what a program sent is no complete request of SOCKS or HTTP, or offers no login method that is supported',
    remedy: "set the program's proxy to SOCKS5 or HTTP; no TLS is spoken on the port itself",
  },
  'login-missing': {
    where: 'the program',
    words: 'a program offered a login, was asked for it and hung up',
    remedy: '--prefer-no-auth, or give the program any user name and password',
  },
  'program-reads-slowly': {
    where: 'the program',
    words: 'a program reads slowly what has come for it, or has paused',
    remedy: 'look at the program; other connections are not held up by it',
  },
  // The network
  'no-consensus': {
    where: 'the network',
    words: 'there was no list of nodes: no directory authority has answered',
    remedy: "check this machine's network connection; if that works, the authority is down: try later",
  },
  'source-behind': {
    where: 'the network',
    words: 'an authority or the gateway did not give the newest list of nodes, which was had from elsewhere',
    remedy: 'nothing now: the newest list is in use; if it lasts, tell who runs what the status names as behind',
  },
  'no-gateway': {
    where: 'the network',
    words: 'no gateway could be reached',
    remedy: "check this machine's network connection and whether a firewall blocks the gateway's port",
  },
  'network-full': {
    where: 'the network',
    words: 'the network is over its capacity: its gateways take no more users, or its nodes drop packets',
    remedy: 'wait: it is tried on; whoever runs the network makes room with more nodes or faster ones',
  },
  ...ACCESS_REASONS,
  'key-exchange': {
    where: 'the network',
    words: 'the gateway and this proxy have no key exchange in common',
    remedy:
      'set --link-key-exchange any here, or let the gateway run on Node.js 24 or later; the log says which is older',
  },
  'no-exit': {
    where: 'the network',
    words: 'the network lists no exit that this proxy may use',
    remedy: 'try later, or check --requester and --access-token',
  },
  'no-route': {
    where: 'the network',
    words: 'the network has too few nodes for a route, or a link or document of it is not valid',
    remedy: 'try later; if it lasts, tell who runs the network',
  },
  'no-session': {
    where: 'the network',
    words: 'the connection waited until there was a session with an exit',
    remedy: 'nothing, if it happens at the start; otherwise look at the link and the paths in the status',
  },
  'path-lossy': {
    where: 'the network',
    words: 'packets got lost on their way through the network',
    remedy:
      'wait a minute: mixes that lose packets are avoided; if all of them do, check the connection of this machine',
  },
  // The exit
  'no-exit-for-port': {
    where: 'the exit',
    words: 'no exit of the network lets that port through',
    remedy: 'use another port of the site, or ask who runs an exit to allow it (docs/EXIT-POLICY.md)',
  },
  'exit-refused': {
    where: 'the exit',
    words: 'the exit does not allow that destination or that kind of traffic',
    remedy: 'nothing helps but another exit: its policy is its own (docs/EXIT-POLICY.md)',
  },
  'exit-token': {
    where: 'the exit',
    words: 'the exit did not accept the access token',
    remedy: 'check --access-token, or ask who runs the exit',
  },
  'exit-version': {
    where: 'the exit',
    words: 'the exit speaks another version of the protocol',
    remedy: 'update mixsocks here or at the exit; the log names both versions',
  },
  'exit-full': {
    where: 'the exit',
    words: 'the exit has as many connections or sessions as it takes',
    remedy: 'close some connections and try again in a while',
  },
  'exit-silent': {
    where: 'the exit',
    words: 'the exit does not answer',
    remedy: 'wait: it is asked again all the time; if it lasts, the exit is down',
  },
  'exit-slow': {
    where: 'the exit',
    words: 'the exit sent fewer replies than it was asked for, or answered late',
    remedy: 'nothing here: the exit or its gateway is overloaded; another exit may do better (--requester)',
  },
  'exit-no-way': {
    where: 'the exit',
    words: 'the exit has no way to that kind of address (IPv6, for instance)',
    remedy: 'ask for the name of the site instead of its address',
  },
  'session-ended': {
    where: 'the exit',
    words: 'the exit ended the session; it may have been restarted',
    remedy: 'try again',
  },
  idle: {
    where: 'the exit',
    words: 'a connection was ended because nothing was sent for too long, or because it was open for too long',
    remedy: 'let the program send something now and then (ssh: ServerAliveInterval)',
  },
  // The site
  'site-refused': {
    where: 'the site',
    words: 'the site refused the connection: nothing listens on that port',
    remedy: 'check the port, or try later',
  },
  'site-unreachable': {
    where: 'the site',
    words: 'the exit cannot reach the site, or its name servers do not answer',
    remedy: 'try later; the site is down, or blocks the exit',
  },
  'no-such-name': {
    where: 'the site',
    words: 'the name does not exist',
    remedy: 'check the spelling of the name',
  },
  'site-timeout': {
    where: 'the site',
    words: 'the site did not answer the exit in time',
    remedy: 'try later; the site is down, or drops what comes from the exit',
  },
  'site-reset': {
    where: 'the site',
    words: 'the site broke the connection off before it had answered',
    remedy: 'try again; some sites do so to exits that they do not like',
  },
  'site-malformed': {
    where: 'the site',
    words: "what the site sent is not valid HTTP, or larger than the proxy's bound",
    remedy: 'use https:// or CONNECT, which the proxy does not read',
  },
  'site-slow-connect': {
    where: 'the site',
    words: 'the exit took long to resolve the name or to connect to the site',
    remedy: 'nothing here: the site, its name servers or the way from the exit are slow',
  },
  'site-sends-slowly': {
    where: 'the site',
    words: 'the site sent less than the traffic class carries',
    remedy: 'nothing here: the site, or its way to the exit, is no faster',
  },
  'site-reads-slowly': {
    where: 'the site',
    words: 'the site took less than the traffic class carries',
    remedy: 'nothing here: the site, or the way from the exit to it, is no faster',
  },
  // Nobody knows
  'no-answer': {
    where: 'unknown',
    words: 'no answer came in time, and nothing that is seen from here explains it',
    remedy: 'try again; the site may be slow, and is waited for as long as the network says (60 s by default)',
  },
} as const satisfies Record<string, ReasonFacts>;

export type Reason = keyof typeof REASONS;
