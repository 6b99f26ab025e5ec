import { AddressCount } from '@spanmesh/dmsg-socket/address/address-count';
import { testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import type { PeerAccess } from '@spanmesh/dmsg-socket/keys/peer-rules';
import { describe, expect, it } from 'vitest';
import { isLoopback, peerAddress } from '../address/peer-address.ts';
import { Admission, loopbackOnly } from './admission.ts';

const keys = testKeys();
const encrypted: PeerAccess = {
  kind: 'encrypted',
  file: 'f',
  own: keys.own,
  peer: keys.shown,
  tagged: true,
  bound: false,
};

function admission({
  total = 10,
  perAddress = 10,
  handshakes = new AddressCount({ total: 10, perAddress: 10 }),
  accessOf = loopbackOnly,
}: {
  total?: number;
  perAddress?: number;
  handshakes?: AddressCount;
  accessOf?: (address: string) => PeerAccess;
}): Admission {
  return new Admission({ accessOf, connections: new AddressCount({ total, perAddress }), handshakes });
}

/** What `admit` says, in a word. */
function admit(to: Admission, address: string): string {
  const access = to.admit(address);
  return access.kind === 'refused' ? access.refusal : access.kind;
}

describe('admission', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.255.255.254', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['1.127.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['fe80::1', false],
    ['::2', false],
    ['', false],
  ])('takes %j for the loopback: %s', (address, loopback) => {
    expect(isLoopback(peerAddress(address))).toBe(loopback);
    expect(admit(admission({}), peerAddress(address))).toBe(loopback ? 'plaintext' : 'not-loopback');
  });

  it('counts all connections and those of each address, and forgets those that are released', () => {
    const to = admission({ total: 3, perAddress: 2 });
    expect(['127.0.0.1', '127.0.0.1', '127.0.0.1'].map((address) => admit(to, address))).toEqual([
      'plaintext',
      'plaintext',
      'too-many-from-address',
    ]);
    expect(admit(to, '127.0.0.2')).toBe('plaintext');
    expect(to.refusal('127.0.0.3')).toBe('too-many');
    expect(admit(to, '127.0.0.3')).toBe('too-many');
    to.release('127.0.0.1');
    expect(to.total).toBe(2);
    expect(to.refusal('127.0.0.1')).toBeNull();
    expect(admit(to, '127.0.0.1')).toBe('plaintext');
  });

  it('refuses for too many handshakes only a peer that needs one', () => {
    const handshakes = new AddressCount({ total: 2, perAddress: 1 });
    const to = admission({
      handshakes,
      accessOf: (address) => (address === 'plain' ? { kind: 'plaintext', file: 'f' } : encrypted),
    });
    expect(admit(to, 'a')).toBe('encrypted');
    handshakes.take('a');
    expect(admit(to, 'a')).toBe('too-many-handshakes-from-address');
    handshakes.take('b');
    expect(admit(to, 'c')).toBe('too-many-handshakes');
    expect(admit(to, 'plain')).toBe('plaintext');
  });

  it('takes as many connections as there are file descriptors', () => {
    const sockets: number[] = [];
    let isFull = false;
    const files = {
      isFull: (count: number) => {
        sockets.push(count);
        return isFull;
      },
    };
    const connections = new AddressCount({ total: 10, perAddress: 10 });
    const to = new Admission({
      accessOf: loopbackOnly,
      connections,
      files,
      handshakes: new AddressCount({ total: 1, perAddress: 1 }),
    });
    expect(admit(to, '127.0.0.1')).toBe('plaintext');
    isFull = true;
    // What the keys refuse is refused for that reason.
    expect(admit(to, '192.0.2.1')).toBe('not-loopback');
    expect([admit(to, '127.0.0.1'), to.total, new Set(sockets)]).toEqual(['file-descriptors', 1, new Set([0, 1])]);
  });

  it('has a principal with more connections give way to one with fewer, unless that has its share', () => {
    const held: Record<string, number> = { '127.0.0.1': 4, '127.0.0.2': 2, '127.0.0.3': 3, '127.0.0.4': 0 };
    let evicted = 0;
    const connections = new AddressCount({ total: 4, perAddress: 4 });
    const room = {
      options: { resource: 'connections', total: 4, share: 4 },
      heldBy: (principal: string) => held[principal] ?? 0,
      most: 4,
      evictMost: () => {
        evicted++;
        return true;
      },
    };
    const handshakes = new AddressCount({ total: 10, perAddress: 10 });
    const to = new Admission({ accessOf: loopbackOnly, connections, room, handshakes });
    // There is room: nobody has to give way.
    for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.4']) {
      expect([admit(to, address), evicted]).toEqual(['plaintext', 0]);
    }
    expect([admit(to, '127.0.0.1'), evicted]).toEqual(['too-many-from-address', 0]);
    // It would have as many as the one that gives way.
    expect([admit(to, '127.0.0.3'), evicted, to.total]).toEqual(['too-many', 0, 4]);
    expect([admit(to, '127.0.0.2'), evicted, to.total]).toEqual(['plaintext', 1, 5]);
    // The address has its share of sockets: nobody gives way for it.
    const few = new AddressCount({ total: 10, perAddress: 1 });
    few.add('127.0.0.4');
    const other = new Admission({ accessOf: loopbackOnly, connections: few, room, handshakes });
    expect([other.refusal('127.0.0.4'), admit(other, '127.0.0.5'), evicted]).toEqual([
      'too-many-from-address',
      'plaintext',
      1,
    ]);
  });

  it('takes nobody once it is closed', () => {
    const to = admission({});
    to.close();
    expect(admit(to, '127.0.0.1')).toBe('stopping');
    expect(to.total).toBe(0);
  });
});
