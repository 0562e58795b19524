/**
 * A UDP association at the exit: datagrams of the stream go out to where each says, as far as the policy allows that
 * address, and answers come back with the address they are from.
 *
 * A name is resolved with its first datagram, and then stands for the same address until nothing has moved for a while:
 * what speaks QUIC or DTLS with a name must not change its peer in between.
 * @module
 */
import type { Timer } from '../../lib/core/clock.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import type { MemoryAccount } from '../../lib/core/memory-budget.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import { checkDestination } from '../../lib/net/destination.ts';
import { DatagramChannel } from '../../lib/relay/datagram-channel.ts';
import type { RelayOutcome } from '../../lib/relay/stream-relay.ts';
import type { AcceptedHandlers, AcceptedStream } from '../../lib/session/index.ts';
import type { EgressContext } from './context.ts';
import { UdpSockets } from './udp-sockets.ts';

/** Where it is bound differs by family and says nothing. */
const UNBOUND = { host: '0.0.0.0', port: 0 };

export class UdpEgress implements AcceptedHandlers {
  readonly #channel: DatagramChannel;
  readonly #sockets: UdpSockets;
  /** Name → the address that it stands for, if any; checked against the policy with each datagram. */
  readonly #names = new Map<string, Promise<readonly string[]>>();
  #waiting = 0;
  readonly #memory: MemoryAccount | undefined;
  /** Bytes of datagrams that have waited for a name. */
  #waitedBytes = 0;
  #expiry: Timer | undefined;
  #over = false;

  /** `session` names whose memory and look-ups it takes; `mayReach` is asked before each new peer; `onGone` is called once, at its end. */
  constructor(
    private readonly stream: AcceptedStream,
    private readonly context: EgressContext,
    private readonly session: string,
    mayReach: () => boolean,
    private readonly onGone: () => void,
  ) {
    const { clock, limits, memory } = context;
    const shed = () => this.#break('LIMIT', 'stopped');
    this.#memory = memory?.account('datagrams', shed, session);
    const channelMemory = memory?.account('datagrams', shed, session);
    this.#channel = new DatagramChannel({
      clock,
      ...(channelMemory === undefined ? {} : { memory: channelMemory }),
      onDatagram: (host, port, bytes) => this.#up(host, port, bytes),
      onMalformed: () => this.#break('MALFORMED', 'stream-reset'),
    });
    this.#channel.attach(stream);
    this.#sockets = new UdpSockets({
      clock,
      idleMs: limits.udpIdleMs,
      maxPeers: limits.udpPeers,
      mayReach,
      onDatagram: (host, port, bytes) => this.#down(host, port, bytes),
      onForeign: () => context.onDatagram('foreign'),
      onIdle: () => this.#names.clear(),
    });
  }

  start(): void {
    const { clock, limits, onOpened } = this.context;
    this.#expiry = clock.after(limits.openMs, () => this.#break('TIMEOUT', 'expired'));
    onOpened(0);
    this.stream.opened(UNBOUND, clock.nowMs());
  }

  /** Not the association is over, but this requester: a proxy goes on with it at another. */
  stop(): void {
    this.#break('SESSION_CLOSED', 'stopped');
  }

  giveUp(): void {
    this.#break('LIMIT', 'stopped');
  }

  get movedMs(): MonotonicMs {
    return this.#sockets.lastMs;
  }

  onData(bytes: Uint8Array): void {
    this.#channel.onData(bytes);
  }

  onDrain(): void {
    this.#channel.onDrain();
  }

  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    this.#channel.onDatagram(host, port, bytes);
  }

  /** The proxy ends associations by a reset; half of one is of no use. */
  onFin(): void {
    this.#break('RESET', 'finished');
  }

  onReset(): void {
    this.#end('finished');
  }

  #up(host: string, port: number, bytes: Uint8Array): void {
    if (this.#over) return;
    const { allowPrivate, onDatagram } = this.context;
    const verdict = checkDestination(host, allowPrivate);
    if (!verdict.ok || port === 0) onDatagram('policy');
    else if (verdict.destination.kind === 'name') this.#toName(verdict.destination.host, port, bytes);
    else this.#toAddresses([verdict.destination.host], port, bytes);
  }

  #toName(name: string, port: number, bytes: Uint8Array): void {
    const { limits, onDatagram } = this.context;
    if (this.#waiting >= limits.udpWaiting) {
      onDatagram('queue-full');
      return;
    }
    this.#waiting += 1;
    this.#memory?.add(bytes.buffer.byteLength);
    const waited = () => {
      this.#waiting -= 1;
      this.#waitedBytes += bytes.buffer.byteLength;
      this.#memory?.add(-bytes.buffer.byteLength, this.#waitedBytes);
    };
    this.#addressOf(name, port).then(
      (address) => {
        waited();
        if (!this.#over) this.#toAddresses(address, port, bytes);
      },
      () => {
        waited();
        this.#names.delete(name);
        onDatagram('unresolved');
      },
    );
  }

  #addressOf(name: string, port: number): Promise<readonly string[]> {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const address = this.context.resolver
      .resolve(name, this.session)
      .then((addresses) => this.#choose(addresses, port));
    this.#names.set(name, address);
    if (this.#names.size > this.context.limits.udpNames) {
      const [oldest] = this.#names.keys();
      if (oldest !== undefined) this.#names.delete(oldest);
    }
    return address;
  }

  /**
   * There is no handshake to try addresses by: the first IPv4 one, as nearly every exit has IPv4. Chosen once, for the port of the first
   * datagram: dozens of addresses to judge for each of the dozens of datagrams in a packet are more work than the packet.
   */
  #choose(addresses: readonly string[], port: number): readonly string[] {
    const { policy } = this.context;
    const permitted = policy.permitted(addresses, port);
    const usable = permitted.length > 0 ? permitted : policy.speakable(addresses);
    const address = usable.find(({ family }) => family === 4) ?? usable[0];
    return address === undefined ? [] : [address.text];
  }

  #toAddresses(addresses: readonly string[], port: number, bytes: Uint8Array): void {
    const { policy, onDatagram, onBytes } = this.context;
    const [address] = policy.permitted(addresses, port);
    if (address === undefined) {
      onDatagram('policy');
    } else if (this.#sockets.send(address, port, bytes)) {
      onDatagram('up');
      onBytes('down', bytes.byteLength);
    } else {
      onDatagram('limit');
    }
  }

  #down(host: string, port: number, bytes: Uint8Array): void {
    const { onDatagram, onBytes } = this.context;
    const sent = this.#channel.send(host, port, bytes);
    onDatagram(sent ? 'down' : 'queue-full');
    if (sent) onBytes('up', bytes.byteLength);
  }

  #break(code: ErrorCode, outcome: RelayOutcome): void {
    if (this.#over) return;
    this.stream.reset(code, this.context.clock.nowMs());
    this.#end(outcome);
  }

  #end(outcome: RelayOutcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#expiry?.cancel();
    this.#sockets.close();
    this.#channel.close();
    this.context.onEnded(outcome);
    this.onGone();
  }
}
