import { SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { uuid } from '../testing/payloads.fixture.ts';
import { Gateway } from './gateway.ts';
import { History } from './history.ts';

// Written once more: a change of them must be noticed.
const MAX_BATCHES = 4096;
const MAX_HISTORY_BYTES = 64 * 1024 * 1024;
const MAX_RELAY_BYTES = 4 * 1024 * 1024;

const connection = new SpanTree().addConnection('a', 1);
const change = { of: 'connection', kind: 'added', object: connection } as const;

function group(size: number) {
  const tree = new SpanTree();
  const link = tree.addLink(tree.addConnection('a', 1), 1, {
    dialect: 'circuit',
    clusterId: uuid(1),
    nodeId: uuid(1),
    peerType: 1,
    peerLabel: '',
    label: '',
    dist: 0,
    rnss: 0,
    stamp: 1,
  });
  return {
    link,
    gateway: new Gateway('a', '00000001', '', ''),
    open: Array.from({ length: size }, (_, i) => i),
    close: [],
  };
}

describe('the history', () => {
  it('gives each batch a revision, and an empty one none', () => {
    const history = new History();
    history.restart(3);
    const start = history.revision;
    history.commit();
    expect(history.revision).toBe(start);
    history.record(change);
    history.record(change);
    history.commit();
    expect(history.revision).not.toBe(start);
    expect(history.batch(history.after(start)!)?.changes).toHaveLength(2);
  });

  it('a revision that is read includes the changes that are not committed yet', () => {
    const history = new History();
    const start = history.revision;
    history.record(change);
    const seen = history.revision;
    expect(seen).not.toBe(start);
    expect(history.after(seen)).toBe(history.end);
  });

  it('counts relays that a peer or a snapshot changes like selected ones: of too many it only keeps that relays changed', () => {
    const history = new History({ maxRelayBytes: 1000 });
    const start = history.revision;
    history.record(change);
    history.record({ of: 'relays', group: group(50) });
    history.commit();
    const few = history.batch(history.after(start) ?? -1);
    expect([few?.changes.length, few?.relaysMissing]).toEqual([2, false]);
    const then = history.revision;
    history.record(change);
    history.record({ of: 'relays', group: group(80) });
    history.commit([group(80)]);
    const many = history.batch(history.after(then) ?? -1);
    expect([many?.changes, many?.relaysMissing]).toEqual([[change], true]);
  });

  it('finds every revision that it keeps, and no other', () => {
    const history = new History({ maxBatches: 3 });
    history.restart(1);
    const revisions = [history.revision];
    for (let i = 0; i < 6; i++) {
      history.record(change);
      history.commit();
      revisions.push(history.revision);
    }
    expect(revisions.map((revision) => history.after(revision))).toEqual([
      undefined,
      undefined,
      undefined,
      history.end - 3,
      history.end - 2,
      history.end - 1,
      history.end,
    ]);
    expect(history.after('9.9')).toBeUndefined();
    expect(history.after(`0123456789abcdef.${history.position.epoch}.${history.position.n}`)).toBeUndefined();
    expect(history.after('')).toBeUndefined();
    expect(history.batch(history.end - 4)).toBeUndefined();
  });

  it('forgets the oldest batches when it holds too many bytes', () => {
    const history = new History({ maxBytes: 10_000 });
    for (let i = 0; i < 50; i++) {
      history.record(change);
      history.commit();
      expect(history.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(history.batch(history.end - 1)).toBeDefined();
  });

  // Limits: trees/history.ts MAX_BATCHES
  it('keeps a limited number of batches, the newest ones', () => {
    const history = new History();
    const first = history.end;
    const commit = () => {
      history.record(change);
      history.commit();
    };
    for (let i = 0; i < MAX_BATCHES; i++) commit();
    expect(history.batch(first)).toBeDefined();
    commit();
    expect([history.batch(first), history.batch(first + 1)]).toEqual([undefined, expect.anything()]);
  });

  // Limits: trees/history.ts MAX_HISTORY_BYTES
  it('keeps a limited number of bytes, the newest batches', () => {
    const history = new History();
    const first = history.end;
    const largest = { ...group(0), open: { length: (MAX_RELAY_BYTES - 128) / 8 } as number[] };
    for (let i = 0; i < MAX_HISTORY_BYTES / MAX_RELAY_BYTES; i++) history.commit([largest]);
    expect([history.bytes, history.batch(first)]).toEqual([MAX_HISTORY_BYTES, expect.anything()]);
    history.record(change);
    history.commit();
    expect([history.bytes, history.batch(first)]).toEqual([MAX_HISTORY_BYTES - MAX_RELAY_BYTES + 1024, undefined]);
  });

  it('is empty when it restarts, and listeners are called for every batch', () => {
    const history = new History();
    let heard = 0;
    const stop = history.onBatch(() => heard++);
    history.record(change);
    history.commit();
    history.record(change);
    history.restart(2);
    expect([heard, history.bytes]).toEqual([2, 0]);
    const before = history.revision;
    history.commit();
    expect(history.revision).toBe(before);
    stop();
    history.record(change);
    history.commit();
    expect(heard).toBe(2);
  });

  it('that is forgotten continues with the same id, and knows no earlier revision', () => {
    const history = new History();
    history.restart(3);
    history.record(change);
    const { revision, position } = history;
    expect([history.isAt(history.position), history.isAhead(revision)]).toEqual([true, false]);
    history.forget();
    expect(history.position).toEqual({ ...position, n: history.position.n });
    expect([history.after(revision), history.isOurs(revision), history.isAt(position)]).toEqual([
      undefined,
      true,
      false,
    ]);
    expect(history.isAhead(`${position.history}.3.${history.position.n + 1}`)).toBe(true);
    expect(history.isAhead(`${position.history}.4.0`)).toBe(true);
    expect(history.isAhead(`${position.history}.2.999`)).toBe(false);
    for (const nonsense of ['', 'x', `${position.history}.3`, `${position.history}.3.x`]) {
      expect([history.isAhead(nonsense), history.isOurs(nonsense)]).toEqual([false, false]);
    }
  });

  // Limits: trees/history.ts MAX_RELAY_BYTES
  it('keeps a batch without its relays if they are too many', () => {
    const history = new History({ maxRelayBytes: 1000 });
    history.record(change);
    history.commit([group(10)]);
    expect(history.batch(history.end - 1)).toMatchObject({ relaysMissing: false, changes: [change, { of: 'relays' }] });
    history.record(change);
    history.commit([group(1000)]);
    expect(history.batch(history.end - 1)).toMatchObject({ relaysMissing: true, changes: [change] });
  });

  it('has an id: another history with the same numbers does not know its revisions', () => {
    const histories = [new History(), new History()];
    const revisions = histories.map((history) => {
      history.restart(1);
      const before = history.revision;
      history.record(change);
      history.commit();
      return before;
    });
    const [one, other] = histories;
    expect(one!.position).toMatchObject({ epoch: other!.position.epoch, n: other!.position.n });
    expect(revisions.map((revision) => one!.after(revision))).toEqual([one!.end - 1, undefined]);
    expect(revisions.map((revision) => one!.isOurs(revision))).toEqual([true, false]);
    expect(one!.isAhead(other!.revision)).toBe(false);
    // The revision may be that of a later leader of which this history has not heard yet.
    other!.restart(2);
    expect(one!.isAhead(other!.revision)).toBe(true);
  });

  it('knows no revision of an earlier term', () => {
    const history = new History();
    history.restart(1);
    history.record(change);
    const { revision, end } = history;
    history.restart(2);
    expect(history.after(revision)).toBeUndefined();
    expect(history.batch(end)).toBeUndefined();
    expect(history.end).toBeGreaterThan(end);
  });
});
