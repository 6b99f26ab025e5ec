import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { Commands } from '@spanmesh/proto/v1/gateway_control';
import { Dialect } from '@spanmesh/proto/v1/types';
import { UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import type { Step, Tracer } from '@spanmesh/runtime/trace/step';
import { TRACE_CONTEXT_BYTES } from '@spanmesh/runtime/trace/trace-context';
import { beforeEach, describe, expect, it } from 'vitest';
import { OpenTables } from '../peers/open-tables.ts';
import type { Link, LnkConn, Peer } from '../peers/peer.ts';
import { RelaySource } from '../peers/peer.ts';
import { CommandRunner } from './commands.ts';

const THERE = 'b.00000002';
const PAYLOAD = Buffer.alloc(LNK_SPAN_BYTES);
const TRACE = Buffer.alloc(TRACE_CONTEXT_BYTES, 1);

let tables: OpenTables;
let metrics: { commandsStale: number };
/** What the gateway was asked to do, in order. */
let done: string[];
/** How often the gateway still has too many relays. */
let over: number;
/** Units of work that the closing of all relays of a link takes. */
let closing: number;
let tracer: Tracer | null;
let runner: CommandRunner;

beforeEach(() => {
  tables = new OpenTables();
  metrics = { commandsStale: 0 };
  done = [];
  over = 0;
  closing = 0;
  tracer = null;
  runner = new CommandRunner({
    tables,
    metrics,
    relays: {
      open: ({ gateway, link }, lnkConn, n) => void done.push(`open ${gateway}:${link} on ${lnkConn.id} by ${n}`),
      closePair: ({ gateway, link }, lnkConn) => void done.push(`close ${gateway}:${link} on ${lnkConn.id}`),
      *closingAllOf({ gateway, link }) {
        done.push(`close all of ${gateway}:${link}`);
        yield 3;
        return closing;
      },
    },
    shares: { isOverRelays: false, enforceRelays: () => void done.push('enforce') },
    offerers: { learn: ({ link }, principal) => void done.push(`learn ${link} of ${principal}`) },
    prober: { probe: ({ id }) => void done.push(`probe ${id}`) },
    drains: {
      close: ({ id }, why) => void done.push(`close ${id} in order: ${why}`),
      order: ({ order }) => void done.push(`drain ${order}`),
    },
    tracing: {
      get tracer() {
        return tracer;
      },
    },
  });
});

function peer(id: number): void {
  const close = (reason: string, { why }: { why: string }) => void done.push(`close ${id}: ${reason} ${why}`);
  tables.connections.set(id, { id, connection: { close } } as unknown as Peer);
}

function lnkConn(id: number, dialect: 'linkid' | 'circuit' = 'linkid'): void {
  tables.lnkConns.set(id, { id, connection: { dialect } } as LnkConn);
}

function remote(link: number): RelaySource {
  return tables.learnRemote(THERE, link, 'linkid', PAYLOAD);
}

/** Obeys the commands; returns the units of work of each slice. */
function obey(commands: Partial<Commands>, n = 5): number[] {
  return [...runner.running({ ...Commands.create(), epoch: 1, n, ...commands })];
}

const link = (number: number, more: Partial<Commands['links'][number]> = {}) => ({
  gateway: THERE,
  link: number,
  dialect: Dialect.DIALECT_LINKID,
  payload: PAYLOAD,
  principal: 'ann',
  ...more,
});
const relayOf = (number: number, open: number[], close: number[] = [], gateway = THERE) => ({
  ...{ gateway, link: number, open, close },
});

describe('commands of topology', () => {
  it('that name nothing do nothing', () => {
    expect(obey({})).toEqual([0, 0]);
    expect([done, metrics.commandsStale]).toEqual([[], 0]);
  });

  it('name links of other gateways, which are known from then on', () => {
    expect(obey({ links: [link(1), link(2)] })).toEqual([2, 0]);
    expect(done).toEqual(['learn 1 of ann', 'learn 2 of ann']);
    const known = tables.source(THERE, 1);
    expect([known?.leaderKnows, known?.dialect, known?.payload]).toEqual([true, 'linkid', PAYLOAD]);
  });

  it.each([
    ['no gateway', { gateway: '' }],
    ['a dialect that is not known', { dialect: Dialect.DIALECT_UNSPECIFIED }],
    ['a payload that is too short', { payload: PAYLOAD.subarray(1) }],
  ])('do not name links with %s', (_, bad) => {
    obey({ links: [link(1, bad)] });
    expect([done, metrics.commandsStale, tables.remoteLinks.size]).toEqual([[], 1, 0]);
  });

  it('say which links of other gateways are gone; they are closed and forgotten, in slices', () => {
    const [one] = [remote(1), remote(2), remote(3)];
    one.leaderKnows = true;
    const gone = [1, 9, 2].map((number) => ({ gateway: THERE, link: number }));
    tables.links.set(3, { source: new RelaySource('', 3, 'linkid', PAYLOAD) } as Link);
    closing = 256 - 1;
    expect(obey({ linksGone: [...gone, { gateway: '', link: 3 }] })).toEqual([0, 3, 256, 3, 256, 0]);
    expect(done).toEqual([`close all of ${THERE}:1`, `close all of ${THERE}:2`]);
    expect([one.leaderKnows, tables.source(THERE, 1), tables.source(THERE, 2)]).toEqual([false, undefined, undefined]);
    closing = 254;
    remote(1);
    expect(obey({ linksGone: gone.slice(0, 1) })).toEqual([0, 3, 255]);
    expect(tables.source(THERE, 3)).toBeDefined();
    closing = 0;
    tables.forgetRemote(remote(2));
    expect([...runner.forgettingGateway(THERE)]).toEqual([3, 1]);
    expect([...runner.forgettingGateway(THERE)]).toEqual([0]);
    expect(tables.remoteLinks.size).toBe(0);
  });

  it('open relays and close them, and then the shares are enforced', () => {
    remote(1);
    for (const id of [11, 12]) lnkConn(id);
    // Without tracing a trace is of no use.
    lnkConn(13, 'circuit');
    obey({ relays: [{ ...relayOf(1, [11, 12, 13, 99], [12, 98]), trace: TRACE }] }, 7);
    expect(done).toEqual([
      `open ${THERE}:1 on 11 by 7`,
      `open ${THERE}:1 on 12 by 7`,
      `close ${THERE}:1 on 12`,
      'enforce',
    ]);
    // The LNK_CONN of another dialect, and the two that are gone.
    expect(metrics.commandsStale).toBe(3);
    obey({ relays: [relayOf(2, [11])] });
    expect(metrics.commandsStale).toBe(4);
    const closed = new RelaySource('', 3, 'linkid', PAYLOAD);
    Object.defineProperty(closed, 'isClosing', { value: true });
    tables.source = () => closed;
    obey({ relays: [relayOf(3, [11], [11], '')] });
    expect([metrics.commandsStale, done.slice(4)]).toEqual([5, ['enforce', 'enforce']]);
  });

  it('open relays in slices of 256 units: each link and each relay is one', () => {
    remote(1);
    lnkConn(11);
    const many = Array.from({ length: 200 }, () => 11);
    expect(obey({ relays: [relayOf(1, many, many.slice(0, 54))] })).toEqual([0, 0]);
    expect(obey({ relays: [relayOf(1, many, many.slice(0, 55)), relayOf(1, many, many.slice(0, 54))] })).toEqual([
      0, 0, 256,
    ]);
    expect(obey({ relays: [relayOf(1, many), relayOf(1, many), relayOf(1, many)] })).toEqual([0, 0, 402]);
  });

  it('wait with each link while too many relays are open', () => {
    const held = new CommandRunner({
      ...{ tables, metrics, tracing: { tracer: null } },
      relays: {
        open() {},
        closePair() {},
        *closingAllOf() {
          yield 0;
          return 0;
        },
      },
      shares: {
        get isOverRelays() {
          return over-- > 0;
        },
        enforceRelays() {},
      },
      offerers: { learn() {} },
      prober: { probe() {} },
      drains: { close() {}, order() {} },
    });
    over = 2;
    const units = [...held.running({ ...Commands.create(), epoch: 1, n: 1, relays: [relayOf(1, [])] })];
    expect([units, metrics.commandsStale]).toEqual([[0, 0, UNITS_PER_TURN, UNITS_PER_TURN], 1]);
  });

  it('probe connections, close them at once or in order, and drain', () => {
    peer(21);
    obey({ probe: [21, 99] });
    expect([done, metrics.commandsStale]).toEqual([['probe 21'], 1]);
    done = [];
    obey({
      close: [
        { connection: 21, reason: 'moved', inOrder: true },
        { connection: 21, reason: 'bad', inOrder: false },
        { connection: 99, reason: 'gone', inOrder: true },
      ],
      drains: [{ order: 'o-1', sharePermille: 1, deadlineMs: 0 }],
    });
    expect(done).toEqual(['close 21 in order: moved', 'close 21: command bad', 'drain o-1']);
    expect(metrics.commandsStale).toBe(2);
  });

  it('that carry a trace have a step for each link: how many relays were opened, or that the link is gone', () => {
    const steps: unknown[] = [];
    const ended: unknown[] = [];
    tracer = {
      begin: (name, { attributes, parent } = {}) => {
        steps.push([name, attributes, parent != null]);
        return { end: (why?: string) => void ended.push(why) } as unknown as Step;
      },
    } as Tracer;
    remote(1);
    lnkConn(11);
    obey({ relays: [{ ...relayOf(1, [11]), trace: TRACE }, relayOf(1, [11]), { ...relayOf(9, []), trace: TRACE }] });
    const of = (number: number, relays: number) => ({
      ...{ 'spanmesh.link': number, 'spanmesh.link_gateway': THERE, 'spanmesh.relays': relays },
    });
    expect(steps).toEqual([
      ['relays opened', of(1, 1), true],
      ['relays opened', of(9, 0), true],
    ]);
    expect(ended).toEqual([undefined, 'the link is gone']);
  });
});
