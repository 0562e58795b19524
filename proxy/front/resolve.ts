/**
 * RESOLVE and RESOLVE_PTR, Tor's additions to SOCKS (commands f0 and f1): the client gets one address or one name in the
 * place of the bound address.
 * @module
 */

import { Lookup, type LookupContext } from '../../lib/access/lookup.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { ClientRequest } from './handshake/steps.ts';
import type { SideEvents, SideRequest } from './side-request.ts';

export class ResolveRequest extends Lookup implements SideRequest {
  constructor(request: ClientRequest, context: LookupContext, events: SideEvents) {
    const { kind, host, port, isolation } = request;
    const question = {
      host,
      reverse: kind === 'resolve-ptr',
      ...(isolation === undefined ? {} : { isolation }),
      ...(port === 0 ? {} : { forPort: port }),
    };
    super(question, context, {
      found(answers) {
        const answer = answerFor(request, answers);
        if (answer === undefined) events.fail('NOT_FOUND');
        else events.finish({ host: answer, port: 0 });
      },
      failed: (code) => events.fail(code),
    });
  }

  /** The answer is still wanted. */
  clientEnded(): void {}
}

/** Clients that do not say which family they can use can use IPv4; SOCKS4 has room for nothing else. */
function answerFor({ protocol }: ClientRequest, answers: readonly string[]): string | undefined {
  const ipv4 = answers.find((answer) => parseAddress(answer)?.family === 4);
  return ipv4 ?? (protocol === 'socks5' ? answers[0] : undefined);
}
