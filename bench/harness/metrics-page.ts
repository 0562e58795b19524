/**
 * What a node says of itself, in the text form of Prometheus.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';

const TRIES = 5;
const PAUSE_MS = 200;

/** The page at `url`. A node that is kept busy may close an idle connection just when it is asked over it: it is asked again. */
export async function metricsPage(url: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (tries === TRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
