/**
 * The services of `deploy/compose.yaml`, for tests. No YAML reader: the file is ours, and keeps to the forms that are read here.
 * @module
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface ComposeService {
  readonly name: string;
  readonly role: string;
  readonly env: ReadonlyMap<string, string>;
  /** `volume:/path`, or `volume:/path:ro`. */
  readonly volumes: readonly string[];
  /** Where its health check asks. */
  readonly healthPort: string;
}

const text = readFileSync(fileURLToPath(new URL('../../deploy/compose.yaml', import.meta.url)), 'utf8');
const forRoles = text.slice(text.indexOf('x-role: &role'), text.indexOf('x-node: &node'));
const forNodes = text.slice(text.indexOf('x-node: &node'), text.indexOf('\nservices:'));

const healthPortIn = (block: string) => /healthy\.mjs, "(\d+)"/.exec(block)?.[1];

export const composeServices: readonly ComposeService[] = text
  .slice(text.indexOf('\nservices:'), text.indexOf('\nnetworks:'))
  .split(/\n(?= {2}[a-z])/)
  .filter((block) => block.includes('command:'))
  .map((block) => {
    const options = block.includes('<<: *node') ? forNodes + block : block;
    return {
      name: block.trim().split(':')[0] ?? '',
      role: /command: \[(\w+)\]/.exec(block)?.[1] ?? '',
      env: new Map(
        [...options.matchAll(/^ +([A-Z_]+): "?([^"\n]+)"?$/gm)].map(([, key = '', value = '']) => [key, value]),
      ),
      volumes: [...(/volumes: \[(.*)\]/.exec(block)?.[1] ?? '').matchAll(/"([^"]+)"/g)].map(([, one = '']) => one),
      healthPort: healthPortIn(block) ?? healthPortIn(forRoles) ?? '',
    };
  });
