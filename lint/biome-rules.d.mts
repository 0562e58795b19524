/** The parts that `part` may import, besides itself. */
export function importableParts(rules: unknown, part: string): string[];
/** The text of biome.imports.json. */
export function biomeRules(rules: unknown): string;
