import type { FoundLink } from '@spanmesh/proto/v1/directory';

/** How many routes of this gateway use each link: several routes to one node are to use different links. */
export class RouteLinks {
  readonly #routes = new Map<string, number>();

  /** The links with the fewest routes first, equals as they come (best first). */
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

  /** Links in use. */
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
