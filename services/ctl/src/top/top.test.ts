import { stripVTControlCharacters } from 'node:util';
import { TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { Dialect } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { FakeTopology } from '../topology.fixture.ts';
import { parseOrder, SORT_WORDS } from './order.ts';
import { showTop, type TopQuery } from './show-top.ts';

let server: FakeTopology;

beforeEach(async () => {
  server = new FakeTopology();
  await server.start();
});

afterEach(() => server.stop());

function connection(n: number, more: Partial<TrafficCounters> = {}): TrafficCounters {
  return TrafficCounters.fromPartial({
    kind: TrafficKind.TRAFFIC_KIND_CONNECTION,
    id: `gw.1:${n}`,
    gateway: 'gw.1',
    address: `192.0.2.${n}:987`,
    dialect: Dialect.DIALECT_CIRCUIT,
    label: `box-${n}`,
    ageMs: 60_000,
    ...more,
  });
}

/** Two samples, two seconds apart: in each, connection n has received n KB and 10 - n messages more. */
function twoSamples(): void {
  const sample = (k: number) => [
    ...[1, 2, 3].map((n) =>
      connection(n, { ageMs: 60_000 + 2000 * k, bytesIn: 2000 * n * k, messagesIn: 2 * (10 - n) * k }),
    ),
    TrafficCounters.fromPartial({
      kind: TrafficKind.TRAFFIC_KIND_TRUNK,
      id: 'gw-2.1',
      gateway: 'gw.1',
      bytesOut: 5_000_000 * k,
      queueBytes: 4096,
      ageMs: 1000 + 2000 * k,
    }),
  ];
  server.traffic = [{ counters: sample(0) }, { counters: sample(1) }];
}

async function top(...args: string[]): Promise<RecordingTerminal> {
  const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: server.address });
  expect(await main(['top', '--interval', '1ms', ...args], terminal)).toBe(0);
  return terminal;
}

const ids = ({ printed }: RecordingTerminal) =>
  printed
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => /gw\.1:(\d)|trunk/.exec(line)?.[1] ?? 'trunk');

describe('when the output is not a terminal', () => {
  it('top prints one table with the rates of two samples, and no escapes', async () => {
    twoSamples();
    const { printed, noted } = await top();
    expect(printed).toBe(
      [
        'WHAT        ID             REMOTE         DIALECT  MSG_IN/S  MSG_OUT/S  B_IN/S  B_OUT/S  OPEN  OPENED/S  QUEUE  PAUSES/S    FOR  LABEL',
        'trunk       gw.1 - gw-2.1  -              -               0          0       0     2.5M     0         0   4.1k         0    3 s  -',
        'connection  gw.1:3         192.0.2.3:987  circuit         7          0      3k        0     0         0      0         0  1 min  box-3',
        'connection  gw.1:2         192.0.2.2:987  circuit         8          0      2k        0     0         0      0         0  1 min  box-2',
        'connection  gw.1:1         192.0.2.1:987  circuit         9          0      1k        0     0         0      0         0  1 min  box-1',
        '',
      ].join('\n'),
    );
    expect(noted).toBe('');
    const { TRAFFIC_KIND_CONNECTION, TRAFFIC_KIND_TRUNK } = TrafficKind;
    expect(server.trafficAsked).toMatchObject(
      Array(2).fill({ gateway: '', kinds: [TRAFFIC_KIND_CONNECTION, TRAFFIC_KIND_TRUNK] }),
    );
  });

  it.each([
    ['messages', ['1', '2', '3', 'trunk']],
    ['bytes-in', ['3', '2', '1', 'trunk']],
    ['bytes-out', ['trunk', '1', '2', '3']],
    ['queue', ['trunk', '1', '2', '3']],
    ['age', ['1', '2', '3', 'trunk']],
    ['id', ['1', '2', '3', 'trunk']],
    ['msg_in/s', ['trunk', '3', '2', '1']],
    ['-what,-b_in/s', ['trunk', '3', '2', '1']],
    ['what,bytes', ['3', '2', '1', 'trunk']],
  ])('sorted by %s it is %j', async (key, order) => {
    twoSamples();
    expect(ids(await top('--sort', key))).toEqual(order);
  });

  it.each(SORT_WORDS)('takes %s', async (key) => {
    twoSamples();
    expect(ids(await top('--sort', key))).toHaveLength(4);
  });

  it('shows only the rows that were asked for', async () => {
    twoSamples();
    expect(ids(await top('--filter', 'BOX-2'))).toEqual(['2']);
    twoSamples();
    expect(ids(await top('--filter', '192.0.2.3'))).toEqual(['3']);
    twoSamples();
    expect(ids(await top('--limit', '2'))).toEqual(['trunk', '3']);
    server.trafficAsked.length = 0;
    await top('--kind', 'class', '--gateway', 'gw');
    const kinds = [TrafficKind.TRAFFIC_KIND_ROUTE_CLASS];
    expect(server.trafficAsked[0]).toMatchObject({ kinds, gateway: 'gw' });
  });

  it('has the columns that were asked for, and all if wide', async () => {
    twoSamples();
    const { printed } = await top('--columns', 'id,b/s', '--limit', '2');
    expect(printed).toBe('ID              B/S\ngw.1 - gw-2.1  2.5M\ngw.1:3           3k\n');
    twoSamples();
    expect((await top('-o', 'wide')).printed).toMatch(/^WHAT .* MSG\/S .* B\/S /);
  });

  it('notes gateways whose rows are missing, and escapes labels', async () => {
    const counters = [connection(1, { label: '\x1b[2J' })];
    server.traffic = [{ counters, silentGateways: ['gw.2\x1b[31m'] }];
    const { printed, noted } = await top();
    expect(noted).toBe('spanmesh: missing: gw.2\\x1b[31m (no answer)\n');
    expect(printed).toContain('\\x1b[2J');
    expect(printed).not.toContain('\x1b');
  });

  it('is a document a line with -o json', async () => {
    twoSamples();
    const { printed } = await top('-o', 'json', '--count', '2', '--sort', 'bytes-in', '--limit', '1');
    const documents = printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(documents).toHaveLength(2);
    expect(documents[0]).toEqual({
      intervalMs: 1,
      counters: [
        {
          ...(TrafficCounters.toJSON(connection(3, { ageMs: 62_000, bytesIn: 6000, messagesIn: 14 })) as object),
          messagesOut: 0,
          bytesOut: 0,
          transactionsOpen: 0,
          transactionsOpened: 0,
          queueBytes: 0,
          pauses: 0,
          perSecond: { messagesIn: 7, messagesOut: 0, bytesIn: 3000, bytesOut: 0, transactionsOpened: 0, pauses: 0 },
        },
      ],
      silentGateways: [],
    });
  });

  it.each([
    [['--sort', 'colour'], 'there is no column colour; there are what, id, remote,'],
    [['--columns', 'colour'], 'there is no column colour; there are what, id, remote,'],
    [['--kind', 'connection,colour'], 'Expected some of connection, trunk, class'],
    [['--once', '--count', '2'], 'cannot be used with'],
    [['--count', '0'], 'Expected a number from 1'],
  ])('refuses %j', async (args, why) => {
    const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: server.address });
    expect(await main(['top', ...args], terminal)).toBe(2);
    expect(terminal.noted).toContain(why);
  });
});

describe('on a terminal', () => {
  /** Runs top on a terminal until it has shown this number of blocks. */
  async function onTerminal(blocks: number, more: Partial<TopQuery> = {}, rows = 8): Promise<RecordingTerminal> {
    const terminal = new RecordingTerminal();
    Object.assign(terminal.out, { isTTY: true, rows, getColorDepth: () => 1, hasColors: () => false });
    const interrupted = new AbortController();
    let pauses = 0;
    await showTop(
      {
        options: { address: server.address, timeoutMs: 5000, output: 'text' },
        kinds: ['connection', 'trunk'],
        sort: parseOrder('bytes'),
        columns: null,
        filter: '',
        gateway: '',
        limit: 0,
        intervalMs: 2000,
        blocks: null,
        signal: interrupted.signal,
        pause: async () => {
          if (pauses++ === blocks) interrupted.abort();
        },
        ...more,
      },
      terminal,
    );
    return terminal;
  }

  it('is redrawn in place until interrupted, cut to what fits, and restores the terminal', async () => {
    twoSamples();
    const { printed } = await onTerminal(3, {}, 5);
    const [begin, measuring, ...blocks] = printed.split('\x1b[H');
    expect(begin).toBe('\x1b[?1049h\x1b[?25l\x1b[?7l');
    expect(measuring).toBe('Measuring for 2 s.\x1b[K\x1b[J');
    expect(blocks).toHaveLength(3);
    expect(blocks.at(-1)!.endsWith('\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
    const lines = stripVTControlCharacters(blocks[0]!).split('\r\n');
    expect(lines).toHaveLength(5);
    expect(lines[0]).toBe('3 connections on 1 gateway, in 24 msg/s 6k B/s, out 0 msg/s 0 B/s, by bytes');
    expect(lines[1]).toBe('');
    expect(lines[2]).toMatch(/^WHAT +ID/);
    expect(lines.slice(3).map((line) => line.split(/ +/)[0])).toEqual(['trunk', 'connection']);
  });

  it('notes there gateways whose rows are missing', async () => {
    server.traffic = [{ counters: [connection(1)], silentGateways: ['gw.2'] }];
    const { printed, noted } = await onTerminal(1);
    expect(printed).toContain('missing: gw.2 (no answer)\x1b[K\r\n');
    expect(noted).toBe('');
  });

  it('restores the terminal when the API goes away', async () => {
    let shown = 0;
    const pause = async () => {
      if (shown++ === 1) server.stop();
    };
    const terminal = new RecordingTerminal();
    Object.assign(terminal.out, { isTTY: true, rows: 8 });
    await expect(
      showTop(
        {
          options: { address: server.address, timeoutMs: 5000, output: 'text' },
          kinds: ['connection'],
          sort: parseOrder('bytes'),
          columns: null,
          filter: '',
          gateway: '',
          limit: 0,
          intervalMs: 1,
          blocks: null,
          signal: new AbortController().signal,
          pause,
        },
        terminal,
      ),
    ).rejects.toMatchObject({ code: 'unreachable' });
    expect(terminal.printed.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  it('with --once prints one table, as for any list', async () => {
    twoSamples();
    const { printed } = await onTerminal(5, { blocks: 1 });
    expect(printed).not.toContain('\x1b');
    expect(printed.trimEnd().split('\n')).toHaveLength(5);
  });
});
