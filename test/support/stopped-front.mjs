/**
 * A front as a process of its own, as built: `node stopped-front.mjs LISTENER`. Prints where it listens, and opens no stream.
 * @module
 */
import { systemClock as clock } from '../../dist/lib/core/clock.js';
import { systemRng as rng } from '../../dist/lib/core/rng.js';
import { DEFAULT_SESSION_PARAMS as times } from '../../dist/lib/core/session-params.js';
import { silentLog as log } from '../../dist/lib/telemetry/log.js';
import { Metrics } from '../../dist/lib/telemetry/metrics.js';
import { startFront } from '../../dist/proxy/front/front.js';

const [listen = ''] = process.argv.slice(2);
const front = await startFront({ listen, opener: { times }, components: { clock, log, metrics: new Metrics(), rng } });
process.stdout.write(`${front.listen}\n`);
