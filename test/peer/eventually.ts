import { PATIENCE_MS } from './raw-peer.ts';

/** Between two looks, ms. */
const LOOK_MS = 5;

export interface Patience {
  /** How long it may take before it counts as never, ms. */
  readonly ms?: number;
  /** Between two looks, ms. */
  readonly everyMs?: number;
}

/** What `look` finds, once it finds something; for what sends no event. Fails with the text of `what`. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string | (() => string),
  { ms = 2 * PATIENCE_MS, everyMs = LOOK_MS }: Patience = {},
): Promise<T> {
  const giveUp = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUp) throw new Error(`never so: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Looks until it `holds`. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  patience?: Patience,
): Promise<void> {
  await eventually(async () => ((await holds()) ? true : undefined), what, patience);
}
