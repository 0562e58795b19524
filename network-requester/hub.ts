/**
 * The sessions of a requester on their first link, with a capacity that is what this machine was measured to carry.
 * @module
 */
import type { MixEndpoint } from '../lib/endpoint/index.ts';
import { busyShareMeter } from '../lib/runtime/busy-share.ts';
import type { Components } from '../lib/runtime/components.ts';
import { MeasuredCapacity } from '../lib/runtime/measured-capacity.ts';
import { processorMs } from '../lib/runtime/processors.ts';
import type { AcceptHandler } from '../lib/session/index.ts';
import { replyTerms } from '../lib/session/requester/admission.ts';
import { RequesterHub } from '../lib/session/requester/requester-hub.ts';
import { SessionMeter } from '../lib/session/session-meter.ts';
import type { RequesterConfig } from './config.ts';
import { measuredReplies } from './reply-cost.ts';

/** Measures for up to a quarter of a second, and starts. */
export function startHub(
  { accessToken, maxReplyRate }: RequesterConfig,
  components: Components,
  endpoint: MixEndpoint,
  accept: AcceptHandler,
): RequesterHub {
  const { clock, metrics, log } = components;
  const { payloadBytes, classes } = endpoint.topology.params;
  const { repliesPerPacket } = replyTerms(classes);
  const measured = measuredReplies({ ...components, payloadBytes, repliesPerPacket, nowMs: processorMs });
  const capacity = new MeasuredCapacity({ measured, most: maxReplyRate }, clock.nowMs());
  log.info({ repliesPerSecond: Math.round(capacity.perSecond) }, 'capacity by measure');
  const hub = new RequesterHub({
    meter: new SessionMeter(metrics),
    components,
    endpoint,
    accept,
    maxTotalReplyRate: maxReplyRate,
    load: { capacity, busyShare: busyShareMeter() },
    ...(accessToken === undefined ? {} : { accessToken: Buffer.from(accessToken) }),
  });
  metrics.gaugeOf(
    'requester_reply_capacity',
    'Replies per second that all sessions together may have: what the machine carries by its own measure, at most maxReplyRate',
    () => hub.replyCapacity,
  );
  hub.start();
  return hub;
}
