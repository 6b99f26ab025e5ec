import type { FoundLink } from '@spanmesh/proto/v1/directory';

/**
 * Counts the routes of this gateway's clients that use each link, so that several routes to one node use different
 * links.
 */
export class RouteLinks {
  readonly #routes = new Map<string, number>();

  /** The links sorted by number of routes, fewest first. Links with equal numbers keep their order (best first). */
  ranked(links: readonly FoundLink[]): FoundLink[] {
    return [...links].sort((a, b) => this.#routesOf(a) - this.#routesOf(b));
  }

  opened(link: FoundLink): void {
    const key = keyOf(link);
    this.#routes.set(key, (this.#routes.get(key) ?? 0) + 1);
  }

  closed(link: FoundLink): void {
    const key = keyOf(link);
    const left = (this.#routes.get(key) ?? 1) - 1;
    if (left === 0) this.#routes.delete(key);
    else this.#routes.set(key, left);
  }

  /** Number of links in use. */
  get size(): number {
    return this.#routes.size;
  }

  #routesOf(link: FoundLink): number {
    return this.#routes.get(keyOf(link)) ?? 0;
  }
}

function keyOf({ gateway, number }: FoundLink): string {
  return `${gateway}:${number}`;
}
