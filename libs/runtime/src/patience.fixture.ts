/** For `expect.poll` and other waits: so long that only a test that hangs exceeds it, even on a busy machine. */
export const PATIENCE = { timeout: 60_000 };

/**
 * Checks that follow each other at once, between turns of the event loop: most awaited events happen in this process.
 */
const QUICK_LOOKS = 20;
/** Time between two checks after the quick ones, ms. */
const LOOK_MS = 5;

export interface Patience {
  /** Longest wait, ms, before the test fails. */
  readonly ms?: number;
  /** Time between two checks, ms; default: at once, then LOOK_MS. */
  readonly everyMs?: number;
}

/**
 * Waits until `look` returns a value, for conditions that send no event, and returns it. Fails with the text of `what`.
 * Besides `expect.poll` for assertions, it is the tests' only way of waiting by polling (test/house/waits.test.ts).
 */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string | (() => string) = String(look),
  { ms = 2 * PATIENCE.timeout, everyMs }: Patience = {},
): Promise<T> {
  const giveUp = performance.now() + ms;
  for (let looks = 1; ; looks++) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUp) throw new Error(`never so: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => {
      if (everyMs === undefined && looks < QUICK_LOOKS) setImmediate(resolve);
      else setTimeout(resolve, everyMs ?? LOOK_MS);
    });
  }
}

/** Waits until `holds` returns true. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(holds),
  patience?: Patience,
): Promise<void> {
  await eventually(async () => ((await holds()) ? true : undefined), what, patience);
}
