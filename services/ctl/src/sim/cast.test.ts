import { expect, it } from 'vitest';
import { castParts, peerRandom } from './cast.ts';

const OPTIONS = { peers: 6, dialect: 'both', spans: 2, clusters: 3, seed: 42 } as const;

it('is equal for the same seed, and different for another', () => {
  expect(castParts(OPTIONS)).toEqual(castParts(OPTIONS));
  expect(castParts({ ...OPTIONS, seed: 43 })[0]!.lnkConn.mediaId).not.toBe(castParts(OPTIONS)[0]!.lnkConn.mediaId);
});

it('keeps the first peers as they are when more are added', () => {
  expect(castParts({ ...OPTIONS, peers: 60 }).slice(0, 6)).toEqual(castParts(OPTIONS));
});

it('spreads the spans of each dialect over all its clusters, each span a node of its own', () => {
  const spans = castParts(OPTIONS).flatMap((part) => part.spans);
  for (const dialect of ['linkid', 'circuit'] as const) {
    const own = spans.filter((span) => span.dialect === dialect);
    expect(new Set(own.map((span) => span.clusterId)).size).toBe(3);
    expect(new Set(own.map((span) => span.nodeId)).size).toBe(6);
  }
});

it('has uuids of the usual form', () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  for (const { lnkConn, spans } of castParts({ ...OPTIONS, peers: 50 })) {
    for (const id of [lnkConn.mediaId, lnkConn.clusterId, ...spans.flatMap((s) => [s.clusterId, s.nodeId])]) {
      expect(id).toMatch(uuid);
    }
  }
});

it('may have peers without spans', () => {
  expect(castParts({ ...OPTIONS, spans: 0 }).map((part) => part.spans)).toEqual([[], [], [], [], [], []]);
});

it('gives peers random numbers of their own', () => {
  const [a, b] = [peerRandom(1, 0), peerRandom(1, 1)];
  const draws = Array.from({ length: 1000 }, () => [a(), b()] as const);
  expect(draws.every(([x, y]) => x !== y && x >= 0 && x < 1)).toBe(true);
  const mean = draws.reduce((sum, [x]) => sum + x, 0) / draws.length;
  expect(mean).toBeCloseTo(0.5, 1);
});
