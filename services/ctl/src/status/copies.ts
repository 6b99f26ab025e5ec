import type { NatsCopies } from '@spanmesh/proto/v1/process';
import { printable } from '../output/printable.ts';

/**
 * Buckets of which NATS keeps fewer copies than the settings ask for: one sentence for all buckets with the same
 * numbers.
 */
export function copiesProblems(copies: readonly NatsCopies[]): string[] {
  const alike = new Map<string, { readonly example: NatsCopies; readonly buckets: string[] }>();
  for (const one of copies) {
    const { bucket, wanted, there, trouble } = one;
    if (there >= wanted) continue;
    const key = JSON.stringify([wanted, there, trouble]);
    const found = alike.get(key);
    if (found === undefined) alike.set(key, { example: one, buckets: [printable(bucket)] });
    else found.buckets.push(printable(bucket));
  }
  return [...alike.values()].map(({ example, buckets }) => sentence(example, buckets));
}

function sentence({ wanted, there, trouble }: NatsCopies, buckets: readonly string[]): string {
  const what = buckets.join(', ');
  if (trouble !== '') return `NATS does not say in how many copies it keeps ${what}: ${printable(trouble)}`;
  const next = 2 * (there - 1) > wanted ? '' : '; when another one goes, nothing can be stored';
  return `NATS keeps ${what} in ${there} of ${wanted} copies: start the NATS servers that are missing${next}`;
}
