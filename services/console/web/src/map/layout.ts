/** A place on the map: gateways are on a ring, each with its connections around it, clusters on a ring outside. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Angle between each place and the next: it fills a disc evenly, however many places there are. */
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
/** Distance between neighbours in a disc. */
const STEP = 1;
/** Room around the middle of a disc, in places, for the gateway itself. */
const INNER_PLACES = 4;
const GAP = 4;

/** The nth place around a middle; it does not depend on the number of places. */
export function aroundMiddle({ x, y }: Place, n: number): Place {
  const radius = STEP * Math.sqrt(n + INNER_PLACES);
  const angle = n * GOLDEN_ANGLE;
  return { x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) };
}

/** The radius of a disc with so many places. */
export function discRadius(count: number): number {
  return STEP * Math.sqrt(count + INNER_PLACES);
}

/** Middles of discs on a ring, far enough apart that none touches another; a single disc is in the middle. */
export function ring(count: number, radius: number): Place[] {
  if (count === 1) return [{ x: 0, y: 0 }];
  const around = (radius + GAP) / Math.sin(Math.PI / Math.max(2, count));
  return onCircle(count, around);
}

/** Places at equal distances on a circle, from the top. */
export function onCircle(count: number, radius: number): Place[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = Math.PI / 2 - (2 * Math.PI * i) / count;
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  });
}

/** The radius that contains the gateways with their discs: clusters are outside. */
export function outerRadius(count: number, radius: number): number {
  const [first = { x: 0, y: 0 }] = ring(count, radius);
  return Math.hypot(first.x, first.y) + radius + GAP;
}
