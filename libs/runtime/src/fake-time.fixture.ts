import type { FakeClock } from './fake-clock.ts';

/** Lets all code go on that waits for an answer from this process. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Moves time on, stopping at every timer so that what it starts happens at its own time. */
export async function advance(clock: FakeClock, ms: number): Promise<void> {
  const end = clock.now() + ms;
  await settle();
  for (let next = clock.nextAt(); next !== null && next <= end; next = clock.nextAt()) {
    clock.advance(next - clock.now());
    await settle();
  }
  clock.advance(end - clock.now());
  await settle();
}
