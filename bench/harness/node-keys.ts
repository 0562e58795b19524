/**
 * What a load generator needs of a consensus that a node has stored: keys of nodes, and the size of packets. Only these fields
 * are read, so that the rest may differ from commit to commit.
 * @module
 */

interface ConsensusPart {
  readonly epoch: number;
  readonly params: { readonly payloadBytes: number };
  readonly nodes: readonly {
    readonly identity: string;
    readonly sphinxKeys: readonly { readonly epoch: number; readonly key: string }[];
  }[];
}

export class NodeKeys {
  readonly payloadBytes: number;
  readonly #keys: ReadonlyMap<string, Uint8Array>;

  /** Reads the text of a node's `consensus.json`. */
  constructor(file: string) {
    const [envelope = ''] = (JSON.parse(file) as { consensuses: string[] }).consensuses;
    const { epoch, params, nodes } = JSON.parse((JSON.parse(envelope) as { payload: string }).payload) as ConsensusPart;
    this.payloadBytes = params.payloadBytes;
    this.#keys = new Map(
      nodes.flatMap(({ identity, sphinxKeys }) => {
        const key = sphinxKeys.find((one) => one.epoch === epoch)?.key;
        return key === undefined ? [] : [[identity, Buffer.from(key, 'hex')] as const];
      }),
    );
  }

  /** The node's Sphinx key for the epoch of the consensus. */
  keyOf(identity: string): Uint8Array {
    const key = this.#keys.get(identity);
    if (key === undefined) throw new Error(`no Sphinx key of ${identity} in the consensus`);
    return key;
  }
}
