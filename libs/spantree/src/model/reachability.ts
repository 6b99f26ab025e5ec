/**
 * Which gateways cannot reach which others, each as it said last. Asked by selection, by pair of gateways: links have no copy of it, so
 * nothing is left over when a link or a gateway comes and goes. Made and changed by SpanTree only.
 */
export class Reachability {
  readonly #unreachable = new Map<string, ReadonlySet<string>>();

  /** Whether links of gateway `to` are of use to the LNK_CONNs of gateway `from`. */
  reaches(from: string, to: string): boolean {
    // Mostly everybody reaches everybody.
    return this.#unreachable.size === 0 || this.#unreachable.get(from)?.has(to) !== true;
  }

  /** Those that `from` cannot reach. */
  of(from: string): ReadonlySet<string> {
    return this.#unreachable.get(from) ?? NOBODY;
  }

  /** `from` cannot reach these, and no others. Gives those for which that is different now. */
  set(from: string, unreachable: ReadonlySet<string>): Set<string> {
    const changed = this.of(from).symmetricDifference(unreachable);
    if (unreachable.size === 0) this.#unreachable.delete(from);
    else this.#unreachable.set(from, new Set(unreachable));
    return changed;
  }
}

const NOBODY: ReadonlySet<string> = new Set();
