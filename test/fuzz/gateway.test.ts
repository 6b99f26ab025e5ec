import { expect, it } from 'vitest';
import { fuzzGateway } from './gateway-fuzz.ts';

it('a router serves bystanders, throws nothing and forgets all peers, with 500 hostile sessions', async () => {
  const findings: string[] = [];
  const outcome = await fuzzGateway({ seed: 1, runs: 500, report: (line) => findings.push(line) });
  expect(findings).toEqual([]);
  expect(outcome.inputs).toBe(500);
  expect(outcome.counts['messages from the router']).toBeGreaterThan(500);
});
