import { decodeVolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import { Dialect } from '@spanmesh/proto/v1/types';
import { TargetOrigin, TargetState } from '@spanmesh/proto/v1/volconf';
import { describe, expect, it } from 'vitest';
import { type Placed, Target } from './reconciler/target.ts';
import { showOperator, showSlot, showStored } from './show-target.ts';
import { Slot } from './slots/slot.ts';
import { CLUSTER, copyOf, MEDIA } from './testing/world.fixture.ts';

const NOW = 5000;
const WALL = 1_700_000_000_000;
const view = { now: NOW, wall: WALL, idOf: (gateway: string) => gateway.replace('.1', '.2') };
const placed: Placed = { gateway: 'gw.1', epoch: 7, generation: 3 };
const destination = { host: 'host', port: 987, dialect: 'auto' } as const;

function target(fields: Partial<Target> = {}): Target {
  return Object.assign(new Target('owner', 'label', WALL - 10), fields);
}

const asked = { name: 'far', path: 'span:host', dialect: 'linkid', origin: 'operator' } as const;
const NONE = {
  gateway: '',
  connection: '',
  remoteAddress: '',
  lastError: '',
  lastErrorAt: undefined,
  attempts: 0,
  nextTry: undefined,
  slot: undefined,
};

describe('an operator’s target', () => {
  it('is shown with its connection', () => {
    const running = target({
      generation: 3,
      state: { kind: 'running', placed, destination, connection: 5, remoteAddress: '192.0.2.9:987', upAt: 0 },
    });
    expect(showOperator(asked, running, view)).toEqual({
      ...NONE,
      name: 'far',
      origin: TargetOrigin.TARGET_ORIGIN_OPERATOR,
      path: 'span:host',
      dialect: Dialect.DIALECT_LINKID,
      state: TargetState.TARGET_STATE_RUNNING,
      since: new Date(WALL - 10),
      gateway: 'gw.2',
      connection: 'gw.2:5',
      remoteAddress: '192.0.2.9:987',
      generation: 3,
    });
  });

  it('is shown with the gateway that is dialling it, if any', () => {
    const dialling = target({ attempts: 2, state: { kind: 'dialling', placed, destination } });
    expect(showOperator(asked, dialling, view)).toMatchObject({
      ...NONE,
      state: TargetState.TARGET_STATE_CONNECT,
      gateway: 'gw.2',
      attempts: 2,
    });
    for (const kind of ['stopped', 'ready'] as const) {
      const state = kind === 'ready' ? TargetState.TARGET_STATE_CONNECT : TargetState.TARGET_STATE_STOPPED;
      expect(showOperator(asked, target({ state: { kind } }), view)).toMatchObject({ ...NONE, state });
    }
  });

  it('that waits is shown with its error, the time of the error, and the time of the next attempt', () => {
    const trouble = { lastError: 'nobody answers there', lastErrorAt: WALL - 7 };
    const waiting = target({ ...trouble, state: { kind: 'waiting', at: NOW + 300 } });
    expect(showOperator(asked, waiting, view)).toMatchObject({
      lastError: 'nobody answers there',
      lastErrorAt: new Date(WALL - 7),
      nextTry: new Date(WALL + 300),
    });
    // The attempt is due, but has not begun yet.
    waiting.state = { kind: 'waiting', at: NOW - 300 };
    expect(showOperator(asked, waiting, view).nextTry).toEqual(new Date(WALL));
  });

  it('of the autoconn file is shown with that origin', () => {
    const shown = showOperator({ ...asked, origin: 'autoconn', dialect: 'auto' }, target(), view);
    expect([shown.origin, shown.dialect]).toEqual([TargetOrigin.TARGET_ORIGIN_AUTOCONN, Dialect.DIALECT_UNSPECIFIED]);
  });

  it('that another replica connects is shown as connecting', () => {
    expect(showStored(asked, view)).toEqual({
      ...NONE,
      name: 'far',
      origin: TargetOrigin.TARGET_ORIGIN_OPERATOR,
      path: 'span:host',
      state: TargetState.TARGET_STATE_CONNECT,
      since: new Date(WALL),
      dialect: Dialect.DIALECT_LINKID,
      generation: 0,
    });
  });
});

describe('a slot', () => {
  const copy = decodeVolconfCopy(copyOf('span:host', { copyId: 9, priority: 0x83, label: 'far' }), 0);
  const slot = (): Slot => {
    const id = { mediaId: MEDIA, key: MEDIA, principal: '', index: 7 };
    const made = new Slot(id, copy, 'circuit', { gateway: 'gw.1', stamp: 0, at: 0 });
    made.target = target({ lastError: 'nobody answers there' });
    return made;
  };

  it('is shown with the fields of its copy', () => {
    expect(showSlot(slot(), view)).toMatchObject({
      name: `${MEDIA}/7`,
      origin: TargetOrigin.TARGET_ORIGIN_SLOT,
      path: 'span:host',
      dialect: Dialect.DIALECT_CIRCUIT,
      lastError: 'nobody answers there',
      slot: {
        mediaId: MEDIA,
        index: 7,
        copyId: 9,
        inprog: 0,
        flags: 0,
        error: 0,
        priority: 0x83,
        remotePfsType: 0,
        clusterId: CLUSTER,
        label: 'far',
        heldBack: false,
        pending: true,
      },
    });
  });

  it('shows the problem of its path instead of an earlier error, and that its connection is still up', () => {
    const one = slot();
    one.problem = 'the path names neither a host nor an address';
    one.heldBack = true;
    one.settle();
    expect(showSlot(one, view)).toMatchObject({
      lastError: 'the path names neither a host nor an address',
      slot: { heldBack: true, pending: false },
    });
  });
});
