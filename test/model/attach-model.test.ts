import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AttachWorld, event } from './attach-world.fixture.ts';

/** Long enough that something is open, and something wrong, most of the time. */
const histories = fc.array(event, { minLength: 40, maxLength: 220, size: 'max' });

/** More of them by hand: `ATTACH_RUNS=100000 npx vitest run test/model`. */
const numRuns = Number(process.env.ATTACH_RUNS ?? 300);

describe("the gateway's side of Attach and topology, with everything crossing, breaking, dying and coming back", () => {
  it.each([
    ['a bus that all share', true],
    ['no bus', false],
  ])(
    'agree once all is healed, and what is open is what selection takes (%s)',
    (_, hasBus) => {
      fc.assert(
        fc.property(histories, (events) => {
          const world = new AttachWorld({ hasBus });
          for (const one of events) world.run(one);
          world.heal();
          expect(world.faults()).toEqual([]);
        }),
        { numRuns },
      );
    },
    600_000,
  );
});
