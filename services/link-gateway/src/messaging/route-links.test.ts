import type { FoundLink } from '@spanmesh/proto/v1/directory';
import { describe, expect, it } from 'vitest';
import { RouteLinks } from './route-links.ts';

const link = (gateway: string, number: number): FoundLink => ({ gateway, number, link: undefined });
const [a, b, c] = [link('x', 1), link('x', 2), link('y', 1)];

describe('the links ranked for a route', () => {
  it('have the fewest routes first; with equal numbers the best link comes first', () => {
    const links = new RouteLinks();
    expect(links.ranked([a, b, c])).toEqual([a, b, c]);
    links.opened(a);
    expect(links.ranked([a, b, c])).toEqual([b, c, a]);
    links.opened(c);
    links.opened(b);
    links.opened(b);
    expect(links.ranked([a, b, c])).toEqual([a, c, b]);
    links.closed(b);
    links.closed(b);
    expect(links.ranked([a, b, c])).toEqual([b, a, c]);
    links.closed(a);
    links.closed(c);
    expect(links.size).toBe(0);
  });
});
