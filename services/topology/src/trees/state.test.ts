import { ConnectionOpened, type DrainProgress, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { Dialect } from '@spanmesh/proto/v1/types';
import { type Job, runNow } from '@spanmesh/runtime/grpc/slices';
import { DEFAULT_PIECE_UNITS, SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it, vi } from 'vitest';
import { lnkConnPayload, spanPayload } from '../testing/payloads.fixture.ts';
import { slicesOf } from '../testing/slices-of.fixture.ts';
import { connectionData, Gateway, lnkConnData } from './gateway.ts';
import { KnownLinks } from './known-links.ts';
import { State } from './state.ts';
import type { StateEvent } from './tree-events.ts';

// Written once more: a change of them must be noticed.
const MAX_WAITING_LINKS = 1_000_000;
const OBJECT_UNITS = 8;

/** A state with a gateway of which nothing is known; `told` collects the events of the state. */
function rig({ pieceUnits = DEFAULT_PIECE_UNITS } = {}) {
  const told: string[] = [];
  const textOf = (one: unknown) => (one instanceof Gateway ? one.id : String(one));
  const tell = ({ of, ...data }: StateEvent) => void told.push(`${of} ${Object.values(data).map(textOf).join()}`);
  const state = new State(new SpanTree({ widths: { linkid: 2, circuit: 1 }, pieceUnits }), { tell });
  const gateway = new Gateway('a', '00000001', 'a:1', '1');
  state.trees.add(gateway);
  const apply = (change: object) => runNow(state.applying(gateway, Object.assign(StateChange.create(), change)));
  return { state, gateway, apply, told };
}

/** What a gateway says of a connection and, on it, of LNK_CONNs and links with these numbers. */
function objects({
  lnkConns = [],
  links = [],
}: {
  lnkConns?: readonly number[];
  links?: readonly number[];
}): StateChange {
  return StateChange.fromPartial({
    connectionsOpened: [{ id: 1, dialect: Dialect.DIALECT_CIRCUIT }],
    lnkConnsOpened: lnkConns.map((id) => ({ id, connection: 1, payload: lnkConnPayload('circuit', id) })),
    linksOpened: links.map((id) => ({ id, connection: 1, payload: spanPayload('circuit', id, 0), stamp: id })),
  });
}

// The gateway's stream may have been broken when it told the leader that it closes the connection.
it('a snapshot says of a known connection that its gateway is closing it', () => {
  const { state, gateway, apply, told } = rig();
  const opened = (closing: string) => ConnectionOpened.create({ id: 7, dialect: 1, closing });
  const replace = (closing: string) =>
    runNow(state.replacing(gateway, StateChange.create({ connectionsOpened: [opened(closing)] })));
  apply({ connectionsOpened: [opened('')] });
  const connection = gateway.connections.get(7) ?? expect.fail('no connection');
  replace('');
  expect([connectionData(connection).opened.closing, told.filter((one) => one.includes('changed'))]).toEqual(['', []]);
  replace('an operator drains the gateway');
  expect(connectionData(connection).opened.closing).toBe('an operator drains the gateway');
  expect(told.filter((one) => one.startsWith('connection changed'))).toHaveLength(1);
});

const drain = (order: string, done = false): DrainProgress => ({ order, chosen: 9, closed: 1, cut: 0, done });
const ids = (count: number) => Array.from({ length: count }, (_, i) => `g${i}.00000001`);
const MAX_DRAINS = 64;
const MAX_TRUNKS = 8192;
const MAX_WITHHELD = 1024;

describe('what a gateway may tell', () => {
  // Limits: trees/state.ts MAX_DRAINS
  it('is a limited number of drains: the oldest done one is forgotten for a new one or, if none is done, the new one', () => {
    const { gateway, apply, told } = rig();
    apply({ drains: [drain('first'), drain('done', true), drain('done too', true)] });
    apply({ drains: Array.from({ length: MAX_DRAINS - 3 }, (_, i) => drain(`d${i}`)) });
    expect(gateway.drains.size).toBe(MAX_DRAINS);
    apply({ drains: [drain('next')] });
    expect([gateway.drains.size, gateway.drains.has('done'), gateway.drains.has('next')]).toEqual([
      MAX_DRAINS,
      false,
      true,
    ]);
    apply({ drains: [drain('one more')] });
    apply({ drains: [drain('too many')] });
    expect([gateway.drains.size, gateway.drains.has('done too'), gateway.drains.has('too many')]).toEqual([
      MAX_DRAINS,
      false,
      false,
    ]);
    expect(gateway.drains.has('first')).toBe(true);
    expect(told.filter((one) => one.startsWith('drained'))).toHaveLength(5);
  });

  // Limits: trees/state.ts MAX_TRUNKS
  it.each(['established', 'unreachable'] as const)('is as many %s trunks as there can be gateways', (which) => {
    const { apply } = rig();
    const trunks: Record<string, string[]> = { established: [], unreachable: [], [which]: ids(MAX_TRUNKS) };
    expect(() => apply({ trunks })).not.toThrow();
    trunks[which] = ids(MAX_TRUNKS + 1);
    expect(() => apply({ trunks })).toThrow(expect.objectContaining({ name: 'StateError', code: 'too-much' }));
  });

  // Limits: trees/state.ts MAX_WITHHELD
  it('are as many principals whose links it withholds as one tells of', () => {
    const { gateway, apply } = rig();
    apply({ withheld: { principals: ids(MAX_WITHHELD) } });
    expect(gateway.withheld.size).toBe(MAX_WITHHELD);
    expect(() => apply({ withheld: { principals: ids(MAX_WITHHELD + 1) } })).toThrow(
      expect.objectContaining({ name: 'StateError', code: 'too-much' }),
    );
  });

  // Limits: trees/state.ts MAX_WAITING_LINKS
  it('is a limited number of links of gateways that are not here', () => {
    const { gateway, apply, told } = rig();
    gateway.knows = new KnownLinks();
    // Pretends that this number of links wait already, because each would take some 300 bytes.
    let waiting = MAX_WAITING_LINKS - 1;
    Object.defineProperty(gateway.knows, 'waitingCount', { get: () => waiting });
    apply({ linksKnown: [{ gateway: 'b.00000001', link: 1 }] });
    expect([gateway.knows.waiting('b.00000001', 1), told.at(-1)]).toEqual([expect.anything(), 'named b.00000001']);
    waiting++;
    expect(() => apply({ linksKnown: [{ gateway: 'b.00000001', link: 2 }] })).toThrow(
      expect.objectContaining({ code: 'too-much' }),
    );
    // Links of the gateway's own do not count.
    expect(() => apply({ linksKnown: [{ gateway: gateway.id, link: 2 }] })).not.toThrow();
  });
});

describe('links that a gateway knows', () => {
  it('are none of its own, whatever way they are named', () => {
    const { state, gateway, apply, told } = rig();
    gateway.knows = new KnownLinks();
    const linksKnown = ['', gateway.id].flatMap((id) => [1, 2].map((link) => ({ gateway: id, link })));
    apply({ ...objects({ links: [1] }), linksKnown });
    expect([state.tables().linksKnown, gateway.knows.size]).toEqual([0, 0]);
    expect(told.filter((one) => one.startsWith('named'))).toEqual([]);
  });

  it('do not count if its stream ends while its delta is taken in', () => {
    const { state, gateway, apply, told } = rig({ pieceUnits: OBJECT_UNITS });
    const b = new Gateway('b', '00000001', 'b:1', '1');
    state.trees.add(b);
    runNow(state.applying(b, objects({ links: [1] })));
    gateway.knows = new KnownLinks();
    apply(objects({}));
    const linksKnown = [1, 2].map((link) => ({ gateway: b.id, link }));
    const { linksOpened } = objects({ links: [2, 3] });
    const job = state.applying(gateway, StateChange.fromPartial({ linksOpened, linksKnown }));
    job.next();
    state.detach(gateway);
    runNow(job);
    expect([gateway.links.size, state.tables().linksKnown]).toEqual([2, 0]);
    expect(told.filter((one) => one.startsWith('linkGone'))).toEqual([]);
  });

  it('and relays on demand are shown once the gateway of the link has reported it', () => {
    const { state, gateway } = rig();
    const b = new Gateway('b', '00000001', 'b:1', '1');
    state.trees.add(b);
    const linkGateway = b.id;
    const snapshot = {
      ...objects({ lnkConns: [2] }),
      linksKnown: [1, 3].map((link) => ({ gateway: linkGateway, link })),
      onDemandOpened: [{ linkGateway, link: 1, lnkConns: [2] }],
    };
    runNow(state.replacing(gateway, StateChange.fromPartial(snapshot)));
    const changed = vi.spyOn(state.trees, 'setOnDemand');
    runNow(state.replacing(b, objects({ links: [1, 3] })));
    const onDemand = lnkConnData(gateway.lnkConns.get(2)!).onDemand ?? [];
    expect([...onDemand]).toEqual([b.links.get(1)]);
    // Not for a link that is not relayed on demand.
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('and relays on demand that a snapshot does not name are none any more', () => {
    const { state, gateway } = rig();
    const replace = (link: number) => {
      const onDemandOpened = [{ linkGateway: '', link, lnkConns: [2] }];
      const snapshot = { ...objects({ lnkConns: [2], links: [100, 101] }), onDemandOpened };
      runNow(state.replacing(gateway, StateChange.fromPartial(snapshot)));
      return [...(lnkConnData(gateway.lnkConns.get(2)!).onDemand ?? [])].map(({ id }) => id);
    };
    expect([replace(100), replace(101)]).toEqual([[100], [101]]);
  });
});

describe('what takes long is taken in slices', () => {
  /** Two objects are a slice. */
  const pieceUnits = 2 * OBJECT_UNITS;
  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  /** The slices with anything in them. */
  const filled = (job: Job<void>) => slicesOf(job).filter((units) => units > 0);

  it('links of a delta that open, and that close', () => {
    const { state, gateway } = rig({ pieceUnits });
    const links = numbers(100, 5);
    const slices = [pieceUnits, pieceUnits, OBJECT_UNITS];
    expect(filled(state.applying(gateway, objects({ links })))).toEqual(slices);
    expect(filled(state.applying(gateway, StateChange.fromPartial({ linksClosed: links })))).toEqual(slices);
    expect(gateway.links.size).toBe(0);
  });

  it('the refusals of a LNK_CONN that closes', () => {
    const { state, gateway, apply } = rig({ pieceUnits });
    const links = numbers(100, 2 * pieceUnits + 1);
    apply(objects({ lnkConns: [2, 3], links }));
    for (const link of gateway.links.values()) gateway.refused.set(link, new Set([2]));
    const close = (id: number) => filled(state.applying(gateway, StateChange.fromPartial({ lnkConnsClosed: [id] })));
    expect(close(2)).toEqual([pieceUnits, pieceUnits, OBJECT_UNITS]);
    expect(gateway.refused.size).toBe(0);
    expect(close(3)).toEqual([OBJECT_UNITS]);
  });
});
