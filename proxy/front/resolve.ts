/**
 * RESOLVE and RESOLVE_PTR, Tor's additions to SOCKS (commands f0 and f1): the client gets one address or one name in the
 * place of the bound address.
 * @module
 */

import { Lookup, type LookupContext } from '../../lib/access/lookup.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { SessionStream } from '../../lib/session/index.ts';
import type { ClientRequest } from './handshake/steps.ts';
import type { SideEvents, SideRequest } from './side-request.ts';

export class ResolveRequest implements SideRequest {
  readonly #lookup: Lookup;

  constructor(
    private readonly request: ClientRequest,
    context: LookupContext,
    private readonly events: SideEvents,
  ) {
    const { kind, host, port, isolation } = request;
    const question = {
      host,
      reverse: kind === 'resolve-ptr',
      ...(isolation === undefined ? {} : { isolation }),
      ...(port === 0 ? {} : { forPort: port }),
    };
    this.#lookup = new Lookup(question, context, {
      found: (answers) => this.#found(answers),
      failed: (code) => events.fail(code),
    });
  }

  get stream(): SessionStream | undefined {
    return this.#lookup.stream;
  }

  start(): void {
    this.#lookup.start();
  }

  /** The answer is still wanted. */
  clientEnded(): void {}

  stop(code: ErrorCode): void {
    this.#lookup.stop(code);
  }

  /** Clients that do not say which family they can use can use IPv4; SOCKS4 has room for nothing else. */
  #found(answers: readonly string[]): void {
    const ipv4 = answers.find((answer) => parseAddress(answer)?.family === 4);
    const host = ipv4 ?? (this.request.protocol === 'socks5' ? answers[0] : undefined);
    if (host === undefined) this.events.fail('NOT_FOUND');
    else this.events.finish({ host, port: 0 });
  }
}
