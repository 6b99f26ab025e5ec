/** For `expect.poll`, and what else takes a time: only what hangs takes so long, on a machine that is busy with other things, too. */
export const PATIENCE = { timeout: 60_000 };

/** Looks that follow each other at once, between turns of the event loop: most of what is waited for happens in this process. */
const QUICK_LOOKS = 20;
/** Between two looks after that, ms. */
const LOOK_MS = 5;

export interface Patience {
  /** How long it may take before it counts as never, ms. */
  readonly ms?: number;
  /** Between two looks, ms; default: at once, then a few. */
  readonly everyMs?: number;
}

/**
 * What `look` finds, once it finds something: for what sends no event. Fails with the text of `what`. The tests' only way to wait by
 * looking, besides `expect.poll` for what is to be asserted (test/house/waits.test.ts).
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

/** Looks until it `holds`. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(holds),
  patience?: Patience,
): Promise<void> {
  await eventually(async () => ((await holds()) ? true : undefined), what, patience);
}
