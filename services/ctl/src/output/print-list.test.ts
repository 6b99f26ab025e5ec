import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { FakeTopology, NODE } from '../topology.fixture.ts';
import { printList } from './print-list.ts';
import type { Column } from './table.ts';

let server: FakeTopology;

beforeEach(async () => {
  server = new FakeTopology();
  await server.start();
});

afterEach(() => server.stop());

async function run(...args: string[]): Promise<RecordingTerminal & { code: number }> {
  const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: server.address });
  return Object.assign(terminal, { code: await main(args, terminal) });
}

const firstOf = ({ printed }: RecordingTerminal) =>
  printed
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ +/)[0]);

describe('a list', () => {
  it('is sorted by columns, numbers by their value, the greatest first if asked', async () => {
    expect(firstOf(await run('links', '--columns', 'link,dist', '--sort', 'dist'))).toEqual([
      'LINK',
      'gw.1:4',
      'gw.1:1',
      'gw.1:2',
      'gw.1:3',
    ]);
    expect(firstOf(await run('links', '--columns', 'link', '--sort=-dist,-link', '--limit', '2'))).toEqual([
      'LINK',
      'gw.1:3',
      'gw.1:2',
    ]);
  });

  it('is a document of the same rows', async () => {
    const { printed } = await run('nodes', '-o', 'json', '--sort=-node', '--limit', '1');
    expect(JSON.parse(printed)).toMatchObject({ nodes: [{ key: { id: server.trees[0]?.nodes[0]?.node?.key?.id } }] });
    const yaml = await run('nodes', '-o', 'yaml', '--limit', '1');
    expect(yaml.printed).toMatch(/^nodes:\n {2}- key:\n/);
  });

  it('has more columns if wide, and the columns that are named', async () => {
    expect((await run('nodes')).printed).not.toContain('CLUSTER ID');
    expect((await run('nodes', '-o', 'wide')).printed).toContain('CLUSTER ID');
    expect((await run('nodes', '--columns', 'cluster-id', '--limit', '1')).printed).toBe(
      'CLUSTER ID\n8a2e1c5e-0000-4000-8000-000000000002\n',
    );
  });

  it.each([
    [['--sort', 'colour'], 'there is no column colour; there are dialect, node'],
    [['--columns', 'node,'], 'Expected names of columns'],
    [['--limit', 'x'], 'Expected a number'],
  ])('refuses %j', async (args, why) => {
    const { code, noted } = await run('nodes', ...args);
    expect(code).toBe(2);
    expect(noted).toContain(why);
  });

  it('asks gateways only if a column of theirs is shown or sorted by', async () => {
    await run('conns', '--sort', 'links');
    expect(server.trafficAsked).toHaveLength(0);
    await run('conns', '-o', 'json', '--sort', 'b_in');
    expect(server.trafficAsked).toHaveLength(1);
  });
});

describe('a cluster', () => {
  const idsOf = ({ printed }: RecordingTerminal) => JSON.parse(printed).nodes as unknown[];

  it('is found by its label', async () => {
    expect(idsOf(await run('nodes', '--cluster', 'tank', '-o', 'json'))).toHaveLength(3);
    expect(server.nodesAsked.at(-1)).toMatchObject({ clusterId: '8a2e1c5e-0000-4000-8000-000000000001' });
  });

  it('is found by its id in upper or lower case, without a request for the list', async () => {
    await run('nodes', '--cluster', '8A2E1C5E-0000-4000-8000-000000000002');
    expect(server.nodesAsked.at(-1)).toMatchObject({ clusterId: '8a2e1c5e-0000-4000-8000-000000000002' });
  });

  it('is found by its label for relays, too, which the API cannot filter by cluster', async () => {
    const relays = async (cluster: string) =>
      JSON.parse((await run('relays', '--cluster', cluster, '-o', 'json')).printed).relays as unknown[];
    expect(await relays('tank')).toHaveLength(1);
    expect(await relays('8a2e1c5e-0000-4000-8000-000000000002')).toHaveLength(0);
  });

  it('is named as it was typed when there is none', async () => {
    const { code, noted } = await run('tree', '--cluster', 'Größe\\x1b');
    expect(code).toBe(2);
    expect(noted).toBe('spanmesh: no cluster has the id or label "Größe\\x1b": `spanmesh clusters` lists them\n');
  });
});

describe('--watch', () => {
  interface Row {
    readonly n: number;
  }
  const columns: readonly Column<Row>[] = [{ heading: 'N', text: ({ n }) => String(n) }];
  const options = {
    address: '',
    timeoutMs: 1,
    output: 'text',
    sort: [],
    columns: null,
    limit: 0,
    watchMs: 1,
  } as const;

  /** Prints these lists in turn, then interrupts the watch. */
  async function watch(
    seen: readonly (readonly number[])[],
    terminal: RecordingTerminal,
    output: 'text' | 'json' | 'yaml' = 'text',
  ): Promise<void> {
    const controller = new AbortController();
    let looks = 0;
    const fetch = async () => ({
      rows: (seen[looks++] ?? []).map((n) => ({ n })),
      document: (rows: readonly Row[]) => ({ rows }),
    });
    const pause = async () => {
      if (looks === seen.length) controller.abort();
    };
    await printList({ columns, fetch }, { ...options, output }, terminal, { signal: controller.signal, pause });
  }

  it('prints only changed lists when the output is not a terminal', async () => {
    const terminal = new RecordingTerminal();
    await watch([[1], [1], [2]], terminal);
    expect(terminal.printed).toBe('N\n1\n\nN\n2\n');
  });

  it.each([
    ['json', '{"rows":[{"n":1}]}\n{"rows":[]}\n'],
    ['yaml', '---\nrows:\n  - "n": 1\n---\nrows: []\n'],
  ] as const)('prints documents that have changed: %s', async (output, text) => {
    const terminal = new RecordingTerminal();
    await watch([[1], [1], []], terminal, output);
    expect(terminal.printed).toBe(text);
  });

  it('redraws in place on a terminal, as much as fits, and restores the terminal at the end', async () => {
    const terminal = new RecordingTerminal({ NO_COLOR: '1' });
    Object.assign(terminal.out, { isTTY: true, rows: 4, columns: 80, getColorDepth: () => 1 });
    await watch([[1, 2, 3, 4, 5], [7]], terminal);
    const [begin, ...blocks] = terminal.printed.split('\x1b[H');
    expect(begin).toBe('\x1b[?1049h\x1b[?25l\x1b[?7l');
    expect(blocks[0]?.replaceAll('\x1b[K', '').replaceAll('\x1b[J', '').split('\r\n')).toEqual([
      'N',
      '1',
      '2',
      'and 3 more',
    ]);
    expect(blocks[1]).toBe('N\x1b[K\r\n7\x1b[K\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l');
  });
});

it('labels are printed as they can be typed', async () => {
  const label = Buffer.from([0x5a, 0xc3, 0xbc, 0xff]).toString('latin1');
  for (const { nodes } of server.trees)
    for (const one of nodes) if (one.node?.key?.id === NODE.key?.id) one.node = { ...NODE, label };
  expect((await run('nodes', '--columns', 'label')).printed).toContain('Zü\\xff\n');
  await run('nodes', '--node', 'Zü\\xff');
  expect(server.nodesAsked.at(-1)).toMatchObject({ node: label });
});
