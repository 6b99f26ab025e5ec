import { describe, expect, it } from 'vitest';
import type { Leaving, Peer } from '../peers/peer.ts';
import { chooseShare } from './choose-share.ts';

function peerOf(id: number, { kind = 'accepted', awaited = 0, leaving = null as Leaving | null } = {}): Peer {
  return { id, leaving, connection: { origin: { kind }, endpoint: { awaited } } } as unknown as Peer;
}

const chosen = (peers: Peer[], share: number, random = () => 0) =>
  chooseShare(peers, share, random).map(({ id }) => id);

describe('a share of the connections', () => {
  const quiet = [1, 2, 3, 4].map((id) => peerOf(id));
  const busy = [5, 6].map((id) => peerOf(id, { awaited: 1 }));

  it('is rounded, of all that can be moved', () => {
    expect(chosen(quiet, 0)).toEqual([]);
    expect(chosen(quiet, 0.12)).toEqual([]);
    expect(chosen(quiet, 0.13)).toEqual([1]);
    expect(chosen(quiet, 0.5)).toEqual([1, 2]);
    expect(chosen(quiet, 1)).toEqual([1, 2, 3, 4]);
    expect(chosen([], 1)).toEqual([]);
  });

  it('has no dialled connections, nor those that are being closed', () => {
    const leaving = { reason: 'command', why: 'moved', answered() {} } as const;
    const others = [peerOf(7, { kind: 'target' }), peerOf(8, { kind: 'shell' }), peerOf(9, { leaving })];
    expect(chosen([...others, ...quiet], 0.5)).toEqual([1, 2]);
    expect(chosen(others, 1)).toEqual([]);
  });

  it('has those with transactions in progress last', () => {
    expect(chosen([...busy, ...quiet], 0.5)).toEqual([1, 2, 3]);
    expect(chosen([...busy, ...quiet], 0.83)).toEqual([1, 2, 3, 4, 5]);
    expect(chosen([...busy, ...quiet], 1)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is chosen at random, each once', () => {
    const last = () => 1 - Number.EPSILON;
    expect(chosen(quiet, 0.5, last)).toEqual([4, 1]);
    expect(chosen(quiet, 1, last)).toEqual([4, 1, 2, 3]);
    expect(chosen(quiet, 0.75, () => 0.5)).toEqual([3, 1, 4]);
    let n = 0;
    const more = Array.from({ length: 50 }, (_, id) => peerOf(id));
    expect(new Set(chosen(more, 1, () => (n++ % 10) / 10)).size).toBe(50);
  });
});
