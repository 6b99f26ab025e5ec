import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { PoolLimit } from '../shares/pool.ts';
import { HttpConnections } from './http-connections.ts';

const LIMIT = 3;

function from(remoteAddress: string): Socket {
  return Object.assign(new PassThrough(), { remoteAddress }) as unknown as Socket;
}

function setUp(...addresses: string[]) {
  const limited: PoolLimit[] = [];
  const connections = new HttpConnections({ limit: LIMIT }, { limited: (limit) => void limited.push(limit) });
  const sockets = addresses.map(from);
  for (const socket of sockets) connections.add(socket);
  return { connections, sockets, limited, closed: () => sockets.map(({ destroyed }) => destroyed) };
}

describe('connections beyond their limit', () => {
  it('displace the one that is idle for longest, not the newcomer', () => {
    const { connections, sockets, closed } = setUp('a', 'a', 'a');
    connections.began(sockets[0]!);
    connections.ended(sockets[0]!);
    const newcomer = from('a');
    connections.add(newcomer);
    expect([...closed(), newcomer.destroyed]).toEqual([false, true, false, false]);
    expect([connections.size, connections.displaced]).toEqual([LIMIT, 1]);
  });

  it('one of the address that has most gives way', () => {
    const { connections, closed, limited } = setUp('quiet', 'loud', 'loud');
    connections.add(from('other'));
    expect(limited).toMatchObject([{ resource: 'HTTP connections', bound: 'total', principal: 'loud', held: 2 }]);
    expect(closed()).toEqual([false, true, false]);
  });

  it('leave a connection alone whose request is being answered, as long as others are idle', () => {
    const { connections, sockets, closed } = setUp('a', 'a', 'a');
    for (const socket of sockets.slice(0, 2)) connections.began(socket);
    connections.add(from('a'));
    expect(closed()).toEqual([false, false, true]);
  });

  it('displace in the end a connection that never reads its answer', () => {
    const { connections, sockets, closed } = setUp('a', 'a', 'a');
    for (const socket of sockets) connections.began(socket);
    connections.add(from('a'));
    expect(closed()).toEqual([true, false, false]);
  });
});
