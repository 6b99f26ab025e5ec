import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A limit that is a constant of the code. */
export interface Limit {
  readonly name: string;
  /** The value as written in the code. */
  readonly value: string;
  /** The text of its doc comment. */
  readonly why: string;
  /** The path of its file. */
  readonly file: string;
}

/** Matches a constant with its doc comment. */
const CONSTANT = /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\n(?:export )?const ([A-Z][A-Z0-9_]*) = ([^;]+);/g;

/** All limits of the packages: constants named MAX_… or DEFAULT_MAX_…, or in a file limits.ts. */
export function limits(root: string): Limit[] {
  const found: Limit[] = [];
  for (const layer of ['libs', 'services']) {
    for (const name of readdirSync(join(root, layer)).sort()) {
      if (!existsSync(join(root, layer, name, 'src'))) continue;
      const sources = readdirSync(join(root, layer, name, 'src'), { recursive: true, encoding: 'utf8' }).sort();
      for (const source of sources.filter((file) => file.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(file))) {
        const text = readFileSync(join(root, layer, name, 'src', source), 'utf8');
        for (const [, comment, constant, value] of text.matchAll(CONSTANT)) {
          if (!/^(DEFAULT_)?MAX_/.test(constant!) && !source.endsWith('limits.ts')) continue;
          const why = comment!.replace(/\s*\n\s*\*\s?/g, ' ').trim();
          found.push({
            name: constant!,
            value: value!.replace(/\s+/g, ' '),
            why,
            file: `${layer}/${name}/src/${source}`,
          });
        }
      }
    }
  }
  return found;
}
