import fc from 'fast-check';
import { describe, it } from 'vitest';
import { play, step } from './histories.fixture.ts';

const by = (who: number, what: string, pick = 0) => ({ who, what, pick });

/** Histories that once failed (linkid, two gateways), played each time. */
const BROKEN = [
  // Topology stopped wanting a return path in use. When its use ended on the other gateway, the return path stayed
  // open.
  [
    by(0, 'open', 2095654787),
    by(0, 'settle'),
    by(3, 'open'),
    by(0, 'settle'),
    by(0, 'open'),
    by(0, 'unrelay'),
    by(0, 'open'),
    by(0, 'open'),
    by(0, 'open'),
  ],
  // A peer had closed a return path to a span of the other gateway. When that peer disconnected, the span stayed known
  // here.
  [by(0, 'open', 774208226), by(0, 'open'), by(0, 'cut'), by(1, 'settle'), by(3, 'relayClosed'), by(0, 'open')],
];

describe.each([
  ['circuit', 1],
  ['linkid', 1],
  ['circuit', 2],
  ['linkid', 2],
] as const)('random histories, %s, gateways: %i', (dialect, gateways) => {
  it('keep what must always hold', async () => {
    const histories = fc.array(step, { minLength: 5, maxLength: 120, size: 'max' });
    await fc.assert(
      fc.asyncProperty(histories, (steps) => play(dialect, gateways, steps)),
      { numRuns: 100, timeout: 60_000, examples: BROKEN.map((steps): [typeof steps] => [steps]) },
    );
    // On a busy machine a hundred histories take minutes, and a single one may stand for 20 s: `timeout` is for one
    // that hangs.
  }, 900_000);
});
