import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import type { Status } from './problems.ts';

/** Services that can be counted; a `standalone` process counts as one of each. */
const SERVICES = ['topology', 'link-gateway', 'volconf'] as const;

type ExpectedService = (typeof SERVICES)[number];

/** How many of each service an operator expects at least. */
export type Expected = ReadonlyMap<ExpectedService, number>;

const WORD = /^([a-z-]+)=(\d{1,5})$/;

/**
 * Reads `topology=2,link-gateway=3`.
 * @throws Failure usage: anything else
 */
export function parseExpected(text: string): Expected {
  const expected = new Map<ExpectedService, number>();
  for (const word of text.split(',')) {
    const [, name, count] = WORD.exec(word.trim()) ?? [];
    const service = SERVICES.find((one) => one === name);
    if (service === undefined || expected.has(service)) {
      const form = `a list like topology=2,link-gateway=3,volconf=1, each once`;
      throw new Failure('usage', `--expect takes ${form}; ${JSON.stringify(printable(word))} is none of it`);
    }
    expected.set(service, Number(count));
  }
  return expected;
}

/** Services of which there are fewer than expected, a sentence each. */
export function fewerThanExpected(expected: Expected, status: Status): string[] {
  return [...expected].flatMap(([service, count]) => {
    const there = countOf(service, status);
    return there >= count ? [] : [`${there} of ${count} expected processes of ${service} are there`];
  });
}

/**
 * The number of processes. A gateway counts once topology has it; a topology replica once it follows, leads, or runs.
 */
function countOf(service: ExpectedService, { topology, processes }: Status): number {
  if (service === 'link-gateway') return topology.gateways.filter(({ attached }) => attached).length;
  if (service === 'topology') return topology.replicas.length;
  const all = processes?.processes ?? [];
  return all.filter((process) => process.service === service || process.service === 'standalone').length;
}
