import type { Link } from './parts.ts';

/**
 * Compares links, best first (architecture.md, "Relay selection"): dist; rnss; suspects last; stamp; gateway; id. The
 * last three mean nothing, but every leader sorts by them alike, so that a fail-over changes no relay.
 */
export function compareLinks(a: Link, b: Link): number {
  if (a.dist !== b.dist) return a.dist - b.dist;
  if (a.rnss !== b.rnss) return a.rnss - b.rnss;
  const suspicion = Number(a.connection.suspect) - Number(b.connection.suspect);
  if (suspicion !== 0) return suspicion;
  if (a.span.stamp !== b.span.stamp) return a.span.stamp - b.span.stamp;
  if (a.connection.gateway !== b.connection.gateway) return a.connection.gateway < b.connection.gateway ? -1 : 1;
  return a.id - b.id;
}

/** Puts `link` where it belongs in the sorted `links`. */
export function insertLink(links: Link[], link: Link): void {
  // Usually the link belongs at the end: most nodes have one link, and most new links are the youngest of their node.
  const last = links.at(-1);
  if (last === undefined || compareLinks(last, link) <= 0) links.push(link);
  else links.splice(lowerBound(links, link), 0, link);
}

/**
 * Takes `link` out of the sorted `links`. The values that it is sorted by must not have changed since it was put in.
 */
export function removeLink(links: Link[], link: Link): void {
  let at = lowerBound(links, link);
  while (links[at] !== link) at++;
  links.splice(at, 1);
}

function lowerBound(links: readonly Link[], link: Link): number {
  let low = 0;
  let high = links.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = links[middle];
    if (at !== undefined && compareLinks(at, link) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
