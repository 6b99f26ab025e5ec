import { ChangeKind, type WatchResponse } from '@spanmesh/proto/v1/topology';
import type { Link } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { FakeGateway, pairName } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { FakeWritable } from '../testing/fake-writable.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { Watch } from './watch.ts';

// Written once more: a change of them must be noticed.
const AHEAD_MS = 5000;
const PROGRESS_MS = 10_000;

function watching({ withRelays = false, revision = '', history = {} } = {}) {
  const leader = new FakeLeader({ history });
  const gateway = new FakeGateway('a');
  settle(leader, [gateway]);
  const start = (from = revision, relays = withRelays) => {
    const call = new FakeWritable<WatchResponse>();
    let ends = 0;
    const watch = new Watch(
      { revision: from, withRelays: relays },
      { stream: call, history: leader.core.history, clock: leader.clock, onEnd: () => ends++ },
    );
    watch.begin();
    return { call, watch, ends: () => ends };
  };
  return { leader, gateway, start };
}

const kinds = (call: FakeWritable<WatchResponse>) =>
  call.sent.flatMap(
    ({ changes }) =>
      changes?.changes.map(({ kind, ...object }) => {
        const what = Object.keys(object).find((name) => object[name as keyof typeof object] !== undefined);
        return `${kind === ChangeKind.CHANGE_KIND_ADDED ? '+' : kind === ChangeKind.CHANGE_KIND_REMOVED ? '-' : '~'}${what}`;
      }) ?? [],
  );

describe('a watch', () => {
  it('reports that it is registered, then the changes', () => {
    const { leader, gateway, start } = watching();
    const { call } = start();
    expect(call.sent).toEqual([{ created: { revision: leader.core.history.revision } }]);
    const connection = gateway.openConnection();
    const link = gateway.openLink(connection, 1);
    gateway.openLnkConn(gateway.openConnection());
    settle(leader, [gateway]);
    gateway.status(link, 5);
    settle(leader, [gateway]);
    gateway.closeConnection(connection);
    settle(leader, [gateway]);
    expect(kinds(call)).toEqual([
      '+connection',
      '+connection',
      '+lnkConn',
      '+cluster',
      '+node',
      '+link',
      '~link',
      '-link',
      '-node',
      '-cluster',
      '-connection',
    ]);
    expect(call.sent.at(-1)?.changes?.revision).toBe(leader.core.history.revision);
  });

  it('also reports which relays open and close, if asked', () => {
    const { leader, gateway, start } = watching();
    const { call } = start('', true);
    const lnkConns = [1, 2].map(() => gateway.openLnkConn(gateway.openConnection()));
    const link = gateway.openLink(gateway.openConnection(), 1);
    settle(leader, [gateway]);
    const [relays] = call.sent.flatMap(({ changes }) => changes?.changes ?? []).flatMap(({ relays: one }) => one ?? []);
    expect(relays?.link).toBe(`${gateway.id}:${link}`);
    expect(relays?.lnkConns.toSorted()).toEqual(lnkConns.map((id) => `${gateway.id}:${id}`).toSorted());
    gateway.refuse([...gateway.relays.keys()][0]!);
    settle(leader, [gateway]);
    expect(kinds(call).at(-1)).toBe('-relays');
  });

  it('reports relays on demand, which lists show, when they open and close', () => {
    const { leader, gateway, start } = watching();
    const lnkConn = gateway.openLnkConn(gateway.openConnection('linkid'));
    // This link is too far to be selected.
    const far = gateway.openLink(gateway.openConnection('linkid'), 1, 17);
    settle(leader, [gateway]);
    const { call } = start('', true);
    const pair = pairName(gateway.id, far, lnkConn);
    gateway.openOnDemand(pair);
    settle(leader, [gateway]);
    expect(kinds(call)).toEqual(['+relays']);
    gateway.closeOnDemand(pair);
    settle(leader, [gateway]);
    expect(kinds(call)).toEqual(['+relays', '-relays']);
    expect(call.sent.at(-1)?.changes?.changes[0]?.relays).toEqual({
      link: `${gateway.id}:${far}`,
      lnkConns: [`${gateway.id}:${lnkConn}`],
    });
  });

  it('resumes from any revision that is kept, and sends later changes once', () => {
    const { leader, gateway, start } = watching();
    const before = leader.core.history.revision;
    gateway.openConnection();
    settle(leader, [gateway]);
    gateway.openConnection();
    settle(leader, [gateway]);
    const { call } = start(before);
    expect(call.sent[0]).toEqual({ created: { revision: before } });
    expect(kinds(call)).toEqual(['+connection', '+connection']);
    const { call: second } = start(call.sent.at(-1)!.changes!.revision);
    expect(kinds(second)).toEqual([]);
  });

  it('from a revision that is not kept is told to list again, and ends', () => {
    const { leader, start } = watching();
    const { call, ends } = start('0.77');
    expect(call.sent.map((response) => Object.keys(response))).toEqual([['listAgain']]);
    expect(call.sent[0]!.listAgain!.revision).toBe(leader.core.history.revision);
    expect([call.ended, ends()]).toEqual([true, 1]);
  });

  it('is told why it must list again', () => {
    const { leader, gateway, start } = watching({ history: { maxBatches: 2 } });
    const revisions = [leader.core.history.revision];
    for (let i = 0; i < 5; i++) {
      gateway.openConnection();
      settle(leader, [gateway]);
      revisions.push(leader.core.history.revision);
    }
    const reason = (revision: string) => start(revision).call.sent[0]?.listAgain?.reason;
    expect(reason(revisions[0]!)).toBe('The history does not reach back to this revision.');
    // The revision of another process that has counted as far under the same epoch.
    const another = new FakeLeader();
    expect(another.core.history.position).toMatchObject({ epoch: leader.core.history.position.epoch });
    expect(reason(another.core.history.revision)).toMatch(/of another history/);
    expect(reason('7.7')).toMatch(/of another history/);
    expect(reason(revisions.at(-1)!)).toBeUndefined();
  });

  it('calls nothing before `begin`', () => {
    const { leader } = watching();
    const call = new FakeWritable<WatchResponse>();
    const said: string[] = [];
    const { history } = leader.core;
    const stream = Object.assign(call, { on: (event: string) => said.push(event) });
    const watch = new Watch(
      { revision: '0.0', withRelays: false },
      { stream, history, clock: leader.clock, onEnd: () => said.push('end') },
    );
    expect([said, call.sent]).toEqual([[], []]);
    watch.begin();
    expect(said.at(-1)).toBe('end');
  });

  it('that does not read gets nothing more, and must list again when it has missed something', () => {
    const { leader, gateway, start } = watching({ history: { maxBatches: 2 } });
    const { call } = start();
    call.accepts = false;
    const open = () => {
      gateway.openConnection();
      settle(leader, [gateway]);
    };
    open();
    const { length } = call.sent;
    for (let i = 0; i < 5; i++) open();
    expect(call.sent).toHaveLength(length);
    call.drain();
    expect(call.sent.at(-1)?.listAgain).toBeDefined();
    expect(call.ended).toBe(true);
  });

  it('that reads slowly gets everything that the history keeps', () => {
    const { leader, gateway, start } = watching();
    const { call } = start();
    for (let i = 0; i < 10; i++) {
      call.accepts = false;
      gateway.openConnection();
      settle(leader, [gateway]);
      if (i % 3 === 0) call.drain();
    }
    for (let i = 0; i < 10; i++) call.drain();
    expect(kinds(call)).toHaveLength(10);
  });

  it('divides large batches; only the last part has the revision to resume from', () => {
    const { leader, gateway, start } = watching();
    const { call } = start();
    const before = leader.core.history.revision;
    const source = gateway.openConnection();
    for (let node = 0; node < 400; node++) gateway.openLink(source, node);
    settle(leader, [gateway]);
    const parts = call.sent.flatMap(({ changes }) => changes ?? []);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap(({ changes }) => changes)).toHaveLength(802);
    for (const part of parts.slice(0, -1)) expect(part.revision).toBe(before);
    expect(parts.at(-1)!.revision).toBe(leader.core.history.revision);
  });

  it('sends at most 500 changes in a message, and 8192 ids of relays', () => {
    const { leader, gateway: one, start } = watching();
    one.openConnection();
    settle(leader, [one]);
    const { history, state } = leader.core;
    const { call } = start('', true);
    const gateway = state.gateways.get('a.00000001') ?? expect.fail('no gateway');
    const link = { id: 1, connection: { gateway: gateway.id } } as Link;
    const sizes = (...groups: number[]) => {
      const { length } = call.sent;
      const ids = (count: number) => Array.from({ length: count }, (_, i) => i);
      history.commit(groups.map((count) => ({ link, gateway, open: ids(count), close: [] })));
      return call.sent
        .slice(length)
        .map(({ changes }) => changes?.changes.map(({ relays }) => relays?.lnkConns.length));
    };
    const ones = (count: number) => Array.from({ length: count }, () => 1);
    expect(sizes(...ones(500))).toEqual([ones(500)]);
    expect(sizes(...ones(501))).toEqual([ones(500), [1]]);
    expect(sizes(4096, 4095, 1)).toEqual([[4096, 4095, 1]]);
    expect(sizes(4096, 4095, 2)).toEqual([[4096, 4095], [2]]);
    // Each message is counted anew.
    expect(sizes(4096, 4096, 4096, 4096, 1)).toEqual([[4096, 4096], [4096, 4096], [1]]);
    // Changes that are not of relays have no ids of them.
    const connection = [...gateway.connections.values()][0] ?? expect.fail('no connection');
    const both = (...groups: number[]) => {
      history.record({ of: 'connection', kind: 'changed', object: connection });
      return sizes(...groups);
    };
    expect(both(4096, 4096)).toEqual([[undefined, 4096, 4096]]);
    expect(both(4096, 4096, 1)).toEqual([[undefined, 4096, 4096], [1]]);
    // The relays of one link are several changes if they are many.
    expect(sizes(4097, 8192)).toEqual([
      [4096, 1],
      [4096, 4096],
    ]);
  });

  it('sends progress while nothing happens', () => {
    const { leader, gateway, start } = watching();
    const { call, watch } = start();
    leader.clock.advance(PROGRESS_MS - 1);
    expect(call.sent).toHaveLength(1);
    leader.clock.advance(1);
    expect(call.sent.at(-1)).toEqual({ progress: { revision: leader.core.history.revision } });
    leader.clock.advance(PROGRESS_MS / 2);
    gateway.openConnection();
    settle(leader, [gateway]);
    const { length } = call.sent;
    leader.clock.advance(PROGRESS_MS - 1);
    expect(call.sent).toHaveLength(length);
    leader.clock.advance(1);
    expect(call.sent.slice(length)).toEqual([{ progress: { revision: leader.core.history.revision } }]);
    watch.end();
    leader.clock.advance(10 * PROGRESS_MS);
    expect(call.sent).toHaveLength(length + 1);
  });

  it('looks again after the usual time while its reader does not read, and sends progress once it reads', () => {
    const { leader } = watching();
    const { clock } = leader;
    const { history } = leader.core;
    const waits: number[] = [];
    const after = (ms: number, fn: () => void) => {
      waits.push(ms);
      // A wait of nothing would not end.
      return clock.after(Math.max(1, ms), fn);
    };
    const call = new FakeWritable<WatchResponse>();
    call.accepts = false;
    const timed = { now: () => clock.now(), wall: () => clock.wall(), after };
    new Watch({ revision: '', withRelays: false }, { stream: call, history, clock: timed, onEnd: () => {} }).begin();
    clock.advance(2 * PROGRESS_MS);
    expect([call.sent.length, waits]).toEqual([1, [PROGRESS_MS, PROGRESS_MS, PROGRESS_MS]]);
    call.drain();
    clock.advance(PROGRESS_MS);
    expect(call.sent.slice(1)).toEqual([{ progress: { revision: history.revision } }]);
    expect(waits.slice(3)).toEqual([PROGRESS_MS]);
  });

  it('is told nothing of a batch of nothing but relays if it does not ask for them', () => {
    const { leader, gateway, start } = watching();
    const lnkConn = gateway.openLnkConn(gateway.openConnection('linkid'));
    const far = gateway.openLink(gateway.openConnection('linkid'), 1, 17);
    settle(leader, [gateway]);
    const { call } = start();
    gateway.openOnDemand(pairName(gateway.id, far, lnkConn));
    settle(leader, [gateway]);
    expect(call.sent).toHaveLength(1);
    leader.clock.advance(PROGRESS_MS);
    expect(call.sent.slice(1)).toEqual([{ progress: { revision: leader.core.history.revision } }]);
  });

  it('must list again if too many relays have changed at once, but only if it asks for relays', () => {
    const { leader, gateway, start } = watching({ history: { maxRelayBytes: 1 } });
    const [asks, other] = [start('', true).call, start().call];
    gateway.openLnkConn(gateway.openConnection());
    gateway.openLink(gateway.openConnection(), 1);
    settle(leader, [gateway]);
    expect(asks.sent.at(-1)?.listAgain?.reason).toBe('Too many relays changed at once.');
    expect([asks.ended, other.ended, kinds(other).length > 0]).toEqual([true, false, true]);
  });

  it('that ends while it sends a batch sends no more of it', () => {
    const { leader, gateway, start } = watching();
    const { call, watch } = start();
    const { length } = call.sent;
    const write = call.write.bind(call);
    call.write = (message) => {
      watch.end();
      return write(message);
    };
    for (let i = 0; i < 501; i++) gateway.openConnection();
    settle(leader, [gateway]);
    expect(call.sent).toHaveLength(length + 1);
  });

  it('ends when its caller cancels', () => {
    const { leader, gateway, start } = watching();
    const { call, ends } = start();
    call.emit('cancelled');
    gateway.openConnection();
    settle(leader, [gateway]);
    expect(call.sent).toHaveLength(1);
    expect(ends()).toBe(1);
  });

  it('that has ended sends nothing more, whatever happens, and leaves no timer', () => {
    const { leader, gateway, start } = watching();
    const idle = leader.clock.pending;
    const { history } = leader.core;
    const listen = history.onBatch.bind(history);
    let listeners = 0;
    history.onBatch = (fn) => {
      const unsubscribe = listen(fn);
      listeners++;
      return () => {
        listeners--;
        unsubscribe();
      };
    };
    for (const ending of ['end', 'abandon'] as const) {
      const { call, watch, ends } = start();
      expect(listeners).toBe(1);
      watch[ending]();
      watch[ending]();
      watch.end();
      expect(listeners).toBe(0);
      const { length } = call.sent;
      gateway.openConnection();
      settle(leader, [gateway]);
      call.drain();
      leader.core.history.restart(9);
      expect([call.sent.length, call.ended, ends(), leader.clock.pending]).toEqual([length, ending === 'end', 1, idle]);
    }
  });

  /** A watch of a history that may be behind, from a revision that comes after so many batches. */
  function ahead(batches: number, options: { mayBeBehind?: boolean } = { mayBeBehind: true }) {
    const { leader, gateway } = watching();
    const { clock } = leader;
    const { history } = leader.core;
    const call = new FakeWritable<WatchResponse>();
    const revision = history.revision.replace(/[0-9]+$/, String(history.position.n + batches));
    const request = { revision, withRelays: false };
    const { pending } = clock;
    new Watch(request, { stream: call, history, clock, onEnd: () => {}, ...options }).begin();
    const open = () => {
      gateway.openConnection();
      settle(leader, [gateway]);
    };
    return { leader, clock, history, call, revision, open, pending };
  }

  it('that waits for a later revision begins there, and then waits for nothing more', () => {
    const { clock, call, revision, open } = ahead(2);
    for (let i = 0; i < 2; i++) open();
    expect(call.sent).toEqual([{ created: { revision } }]);
    open();
    expect(kinds(call)).toEqual(['+connection']);
    clock.advance(AHEAD_MS);
    open();
    expect([kinds(call), call.ended]).toEqual([['+connection', '+connection'], false]);
  });

  it('that waits for a later revision is told to list again when the time is over, or it cannot come any more', () => {
    const late = ahead(2);
    late.clock.advance(AHEAD_MS - 1);
    expect(late.call.sent).toHaveLength(1);
    late.clock.advance(1);
    expect([late.call.sent.at(-1)?.listAgain, late.call.ended]).toEqual([expect.anything(), true]);
    const passed = ahead(2);
    passed.history.restart(9);
    expect([passed.call.sent.at(-1)?.listAgain, passed.call.ended]).toEqual([expect.anything(), true]);
    expect(passed.clock.pending).toBe(passed.pending);
    // A revision that is none of this history, nor a later one.
    expect(ahead(-1).call.sent.map((response) => Object.keys(response))).toEqual([['listAgain']]);
  });

  it.each([{ mayBeBehind: false }, {}])(
    'does not wait for a later revision if it is not of a standby: %j',
    (options) => {
      expect(ahead(2, options).call.sent).toMatchObject([{ listAgain: {} }]);
    },
  );

  it('that has ended while it waited for a later revision sends nothing more', () => {
    const { leader } = watching();
    const { history } = leader.core;
    const call = new FakeWritable<WatchResponse>();
    const revision = history.revision.replace(/[0-9]+$/, '999');
    const watch = new Watch(
      { revision, withRelays: false },
      { stream: call, history, clock: leader.clock, onEnd: () => {}, mayBeBehind: true },
    );
    watch.begin();
    watch.end();
    history.restart(9);
    call.drain();
    expect(call.sent).toEqual([{ created: { revision } }]);
  });

  it('is told to list again when another replica leads', () => {
    const { leader, start } = watching();
    const { call } = start();
    leader.lose();
    expect(call.sent.at(-1)?.listAgain).toBeDefined();
  });
});
