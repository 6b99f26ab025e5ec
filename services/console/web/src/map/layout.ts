/** Where things are on the map: gateways on a ring, what is connected to each around it, clusters on a ring outside. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Fills a disc evenly, however many there are: each next one is this angle further. */
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
/** Distance between neighbours in a disc. */
const STEP = 1;
/** Room around the middle of a disc, in places, for the gateway itself. */
const INNER_PLACES = 4;
const GAP = 4;

/** The place of the nth thing around a middle; it does not depend on how many there are. */
export function aroundMiddle({ x, y }: Place, n: number): Place {
  const radius = STEP * Math.sqrt(n + INNER_PLACES);
  const angle = n * GOLDEN_ANGLE;
  return { x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) };
}

/** The radius of a disc of so many. */
export function discRadius(count: number): number {
  return STEP * Math.sqrt(count + INNER_PLACES);
}

/** Middles of discs on a ring, so that none touches another; of one alone the middle of all. */
export function ring(count: number, radius: number): Place[] {
  if (count === 1) return [{ x: 0, y: 0 }];
  const around = (radius + GAP) / Math.sin(Math.PI / Math.max(2, count));
  return onCircle(count, around);
}

/** Evenly on a circle, from the top. */
export function onCircle(count: number, radius: number): Place[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = Math.PI / 2 - (2 * Math.PI * i) / count;
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  });
}

/** The radius that holds gateways and their discs: clusters are outside. */
export function outerRadius(count: number, radius: number): number {
  const [first = { x: 0, y: 0 }] = ring(count, radius);
  return Math.hypot(first.x, first.y) + radius + GAP;
}
