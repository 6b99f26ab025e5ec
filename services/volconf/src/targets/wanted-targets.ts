import type { Dialect } from '@spanmesh/dmsg/dialect';

/** A target as an operator sets it. */
export interface OperatorTarget {
  readonly name: string;
  /** The path as written: `span:host…`. */
  readonly path: string;
  readonly dialect: Dialect | 'auto';
}

/** A target that no volume has asked for. */
export interface WantedTarget extends OperatorTarget {
  /** Its source: an operator through the API, or a line of the autoconn file. */
  readonly origin: 'operator' | 'autoconn';
}

/** A source of targets. A target remains the same object as long as it is unchanged. */
export interface WantedTargets {
  /** All its targets are known, so that connections without a target may be hung up. */
  readonly loaded: boolean;
  all(): Iterable<WantedTarget>;
  get(name: string): WantedTarget | undefined;
}

/** Several sources of targets, whose names differ, as one source. */
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
