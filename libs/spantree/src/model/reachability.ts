/**
 * Which gateways cannot reach which others, as each of them last reported. The selection asks for pairs of gateways,
 * and links keep no copy of the answer, so nothing has to be updated when a link or a gateway comes or goes. Made and
 * changed by SpanTree only.
 */
export class Reachability {
  readonly #unreachable = new Map<string, ReadonlySet<string>>();

  /** Whether gateway `from` reaches gateway `to`: only then can links of `to` be relayed on the LNK_CONNs of `from`. */
  reaches(from: string, to: string): boolean {
    // The usual case first: every gateway reaches every other.
    return this.#unreachable.size === 0 || this.#unreachable.get(from)?.has(to) !== true;
  }

  /** The gateways that `from` cannot reach. */
  of(from: string): ReadonlySet<string> {
    return this.#unreachable.get(from) ?? NOBODY;
  }

  /** Sets the gateways that `from` cannot reach. Returns those for which that has changed. */
  set(from: string, unreachable: ReadonlySet<string>): Set<string> {
    const changed = this.of(from).symmetricDifference(unreachable);
    if (unreachable.size === 0) this.#unreachable.delete(from);
    else this.#unreachable.set(from, new Set(unreachable));
    return changed;
  }
}

const NOBODY: ReadonlySet<string> = new Set();
