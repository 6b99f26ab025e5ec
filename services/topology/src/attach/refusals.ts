import type { ProcessKind, RefusalCause, RefusedProcess } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';

/** Refused processes that are kept; the one whose last refusal is oldest is forgotten first. */
export const MAX_REFUSALS = 64;
/** A refused process tries again within seconds: one that has not tried for so long, ms, is gone. */
export const REFUSAL_AGE_MS = 300_000;

/** A refused process, and why it was refused last. */
export interface Refusal {
  readonly kind: ProcessKind;
  /** The name as in RefusedProcess (topology.proto). */
  readonly name: string;
  readonly cause: RefusalCause;
  readonly details: string;
}

/** The processes that were refused, for people. */
export class Refusals {
  readonly #clock: Clock;
  readonly #all = new Map<string, Refusal & { readonly at: number; readonly times: number }>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  note(refusal: Refusal): void {
    const key = keyOf(refusal);
    const before = this.#all.get(key);
    this.#all.delete(key);
    this.#all.set(key, { ...refusal, at: this.#clock.now(), times: (before?.times ?? 0) + 1 });
    if (this.#all.size <= MAX_REFUSALS) return;
    const oldest = this.#all.keys().next();
    if (oldest.done !== true) this.#all.delete(oldest.value);
  }

  /** Forgets the refusals of a process that has been accepted. */
  taken(one: Pick<Refusal, 'kind' | 'name'>): void {
    this.#all.delete(keyOf(one));
  }

  /** The refused processes that still try, the last refused one last. */
  list(): RefusedProcess[] {
    const now = this.#clock.now();
    return [...this.#all.values()]
      .filter(({ at }) => now - at < REFUSAL_AGE_MS)
      .map(({ at, kind, name, cause, details, times }) => ({ kind, name, cause, details, times, ageMs: now - at }));
  }
}

function keyOf({ kind, name }: Pick<Refusal, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}
