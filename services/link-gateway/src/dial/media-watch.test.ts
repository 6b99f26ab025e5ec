import { LINKID } from '@spanmesh/dmsg/dialect';
import type { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_MEDIA_CHANGES, MEDIA_PART_ENTRIES } from '../limits.ts';
import type { LnkConn } from '../peers/peer.ts';
import { lnkConnPayload } from '../testing/gateway.fixture.ts';
import type { DialledConnection } from './dialled-connection.ts';
import { MediaWatch } from './media-watch.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('a watch of media', () => {
  /** What was written. */
  let written: WatchMediaResponse[];
  /** Whether the stream takes more. */
  let takes: boolean;
  let drain: () => void;
  let slow: number;
  beforeEach(() => {
    written = [];
    takes = true;
    drain = () => {};
    slow = 0;
  });

  function dialled(n: number): DialledConnection {
    const order = { owner: `${n}`, epoch: 1, generation: 1, dialect: 'auto' };
    const connection = { id: n, remote: '192.0.2.1:987', dialect: 'linkid' };
    return { order, peer: { connection, lnkConns: new Set() } } as unknown as DialledConnection;
  }

  function lnkConn(id: number): LnkConn {
    const connection = { remote: '192.0.2.1:987', principal: '192.0.2.1' };
    const volconfs = new Map([[7, { copy: Buffer.alloc(128), receivedUs: 1 }]]);
    const tx = { endpoint: { rules: LINKID } };
    return { id, connection, tx, payload: lnkConnPayload('linkid'), openedUs: 1, volconfs } as unknown as LnkConn;
  }

  function watch(there = 0): MediaWatch {
    const stream = {
      write: (response: WatchMediaResponse) => {
        written.push({ ...response });
        return takes;
      },
      on: (_: 'drain', fn: () => void) => {
        drain = fn;
      },
    };
    const ends = { stream: stream as never, clock: new FakeClock(), tooSlow: () => slow++ };
    const all = Array.from({ length: there }, (_, n) => dialled(n));
    return new MediaWatch({ gateway: 'gw.1', firstBoot: '1', lnkConns: [], dialled: all }, ends);
  }

  // Limits: link-gateway/src/limits.ts MEDIA_PART_ENTRIES
  it('has MEDIA_PART_ENTRIES entries in a message at most, and each entry once', async () => {
    watch(MEDIA_PART_ENTRIES);
    await nextTurn();
    expect(written.map(({ up, snapshotEnd }) => [up.length, snapshotEnd])).toEqual([
      [MEDIA_PART_ENTRIES, false],
      [0, true],
    ]);
    written = [];
    watch(MEDIA_PART_ENTRIES + 1);
    await nextTurn();
    expect(written.map(({ up }) => up.length)).toEqual([MEDIA_PART_ENTRIES, 1, 0]);
    expect(new Set(written.flatMap(({ up }) => up.map(({ owner }) => owner))).size).toBe(MEDIA_PART_ENTRIES + 1);
    expect(written.at(-1)).toMatchObject({ snapshotEnd: true, gateway: 'gw.1', firstBoot: '1' });
  });

  it('has the changes after the snapshot, as fast as they are read, and ends when too many wait', async () => {
    const watching = watch();
    await nextTurn();
    expect(written.map(({ snapshotEnd }) => snapshotEnd)).toEqual([false, true]);
    written = [];
    takes = false;
    watching.down(dialled(1), 'hangup');
    await nextTurn();
    for (let n = 0; n < MAX_MEDIA_CHANGES; n++) watching.down(dialled(1), 'hangup');
    await nextTurn();
    expect([written.length, slow]).toEqual([1, 0]);
    watching.down(dialled(1), 'hangup');
    expect(slow).toBe(1);
    takes = true;
    drain();
    expect(written.reduce((sum, { down }) => sum + down.length, 0)).toBe(MAX_MEDIA_CHANGES + 2);
  });

  it('has many changes in several messages: what was opened first, what is down last', async () => {
    const watching = watch();
    takes = false;
    await nextTurn();
    for (let n = 0; n < MEDIA_PART_ENTRIES; n++) watching.down(dialled(n), 'hangup');
    for (const id of [1, 2]) {
      watching.up(dialled(id));
      watching.lnkConnClosed(lnkConn(id));
      watching.slotReceived(lnkConn(id), 7);
      watching.lnkConnOpened(lnkConn(id));
    }
    takes = true;
    drain();
    const parts = written.slice(written.findIndex(({ snapshotEnd }) => snapshotEnd) + 1);
    expect(
      parts.map((part) => [part.opened, part.slots, part.closed, part.up, part.down].map((all) => all.length)),
    ).toEqual([
      [2, 0, 0, 0, 0],
      [0, 2, 0, 0, 0],
      [0, 0, 2, 0, 0],
      [0, 0, 0, 2, 0],
      [0, 0, 0, 0, MEDIA_PART_ENTRIES],
    ]);
  });

  it('writes nothing once it has ended', async () => {
    const watching = watch();
    watching.end();
    watching.lnkConnClosed({ id: 1 } as LnkConn);
    await nextTurn();
    expect(written).toEqual([]);
  });
});
