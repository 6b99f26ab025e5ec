import type { Connection, LnkConn } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { SamePeer } from './same-peer.ts';

const IDENTITY = { dialect: 'circuit', mediaId: 'm', clusterId: 'c', pfsFsid: 'f', peerType: 1, label: 'l' };

function connectionFrom(remoteAddress: string): Connection {
  return { data: { opened: { remoteAddress } } } as unknown as Connection;
}

function lnkConnOn(connection: Connection, identity: object = {}): LnkConn {
  return { connection, data: { payload: { ...IDENTITY, ...identity } } } as unknown as LnkConn;
}

describe('a peer that seems to have reconnected', () => {
  it('is found by its address without the port, and by all its identity fields', () => {
    const peers = new SamePeer();
    const old = connectionFrom('192.0.2.1:1000');
    peers.add(lnkConnOn(old));
    const others = (address: string, identity: object = {}) => [
      ...peers.others(lnkConnOn(connectionFrom(address), identity)),
    ];
    expect(others('192.0.2.1:2000')).toEqual([old]);
    expect(others('192.0.2.2:1000')).toEqual([]);
    for (const [field, value] of Object.entries({
      dialect: 'linkid',
      mediaId: 'x',
      clusterId: 'x',
      pfsFsid: 'x',
      peerType: 2,
      label: 'x',
    })) {
      expect([field, others('192.0.2.1:2000', { [field]: value })]).toEqual([field, []]);
    }
  });

  it('may have an IPv6 address in brackets, or an address without a port', () => {
    const peers = new SamePeer();
    const [six, bare] = [connectionFrom('[2001:db8::1]:987'), connectionFrom('unix')];
    peers.add(lnkConnOn(six));
    peers.add(lnkConnOn(bare));
    expect([...peers.others(lnkConnOn(connectionFrom('[2001:db8::1]:5')))]).toEqual([six]);
    expect([...peers.others(lnkConnOn(connectionFrom('unix')))]).toEqual([bare]);
  });

  it('does not include the new connection itself, and is forgotten with its LNK_CONNs', () => {
    const peers = new SamePeer();
    const connection = connectionFrom('192.0.2.1:1000');
    const [one, two] = [lnkConnOn(connection), lnkConnOn(connection)];
    peers.add(one);
    peers.add(two);
    expect([[...peers.others(one)], peers.size]).toEqual([[], 1]);
    peers.remove(one);
    peers.remove(one);
    expect(peers.size).toBe(1);
    peers.remove(two);
    peers.remove(two);
    expect(peers.size).toBe(0);
  });

  it('has at most 32 connections that are probed', () => {
    const peers = new SamePeer();
    const add = () => peers.add(lnkConnOn(connectionFrom('192.0.2.1:1000')));
    for (let i = 0; i < 31; i++) add();
    const asks = () => peers.others(lnkConnOn(connectionFrom('192.0.2.1:1'))).size;
    expect(asks()).toBe(31);
    add();
    expect(asks()).toBe(32);
    add();
    expect(asks()).toBe(32);
  });
});
