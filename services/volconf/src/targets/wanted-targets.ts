import type { Dialect } from '@spanmesh/dmsg/dialect';

/** What an operator wants to be connected to. */
export interface OperatorTarget {
  readonly name: string;
  /** As written: `span:host…`. */
  readonly path: string;
  readonly dialect: Dialect | 'auto';
}

/** Something to be connected to that no volume has asked for. */
export interface WantedTarget extends OperatorTarget {
  /** Who wants it: an operator by the API, or a line of the autoconn file. */
  readonly origin: 'operator' | 'autoconn';
}

/** Targets that are wanted; the same object as long as the wish is the same. */
export interface WantedTargets {
  /** All that is wanted is known: what nobody wants may be hung up. */
  readonly loaded: boolean;
  all(): Iterable<WantedTarget>;
  get(name: string): WantedTarget | undefined;
}

/** Several sources of wishes, whose names differ, as one. */
export class AllWantedTargets implements WantedTargets {
  readonly #sources: readonly WantedTargets[];

  constructor(sources: readonly WantedTargets[]) {
    this.#sources = sources;
  }

  get loaded(): boolean {
    return this.#sources.every(({ loaded }) => loaded);
  }

  *all(): Iterable<WantedTarget> {
    for (const source of this.#sources) yield* source.all();
  }

  get(name: string): WantedTarget | undefined {
    for (const source of this.#sources) {
      const found = source.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
