import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HandMade } from './cross-references.ts';

const DOCS = join(import.meta.dirname, '../../docs/kubernetes.md');

/** The Secrets that docs/kubernetes.md tells operators to make, with their keys: its table `| Secret | keys | … |`. */
export function secretsMadeByHand(): HandMade {
  const [, table = ''] = /^\| Secret \| keys \|.*\n\| --- .*\n((?:\|.*\n)+)/m.exec(readFileSync(DOCS, 'utf8')) ?? [];
  const rows = table.trimEnd().split('\n');
  return new Map(
    rows.flatMap((row) => {
      const [, names = '', keys = ''] = row.split('|');
      return quoted(names).map((name) => [name, new Set(quoted(keys))] as const);
    }),
  );
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
}
