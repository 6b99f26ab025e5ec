import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ExplainResponse } from '@spanmesh/proto/v1/topology';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from './main.ts';
import { RecordingTerminal } from './terminal.fixture.ts';
import { exampleTrees, FakeTopology, linkOf, NODE } from './topology.fixture.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/spanmesh.js', import.meta.url));

/** Runs spanmesh in a process of its own. */
async function spanmesh(...args: string[]) {
  const env = { ...process.env, SPANMESH_ADDRESS: undefined, FORCE_COLOR: undefined };
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

let server: FakeTopology;

beforeEach(async () => {
  server = new FakeTopology();
  await server.start();
});

afterEach(() => server.stop());

describe('a wrong command line', () => {
  it.each([
    [['nonsense'], "spanmesh: unknown command 'nonsense'"],
    [['help', 'volconf', 'nonsense'], "spanmesh: unknown command 'volconf nonsense'"],
    [['tree', '--dialect', 'latin'], "'--dialect <dialect>' argument 'latin' is invalid"],
    [['tree', '--nonsense'], "unknown option '--nonsense'"],
    [['tree', 'twig'], 'too many arguments'],
    [['explain', 'node'], "missing required argument 'connection'"],
    [['nodes', '--address', 'nowhere'], 'must be host:port'],
    [['nodes', '--timeout', 'soon'], 'Expected a time like 10s, 500ms, 15m or 2h.'],
    [['sim', '--peers', '0'], 'Expected a number from 1'],
    [['sim', '--load', '-1'], 'Expected a number from 0'],
    [['sim', '--load', '100001'], 'Expected a number from 0'],
  ])('%j is refused with exit code 2', async (args, line) => {
    const terminal = new RecordingTerminal();
    expect(await main(args, terminal)).toBe(2);
    expect(terminal.noted).toContain(line);
    expect(terminal.noted).toMatch(/^spanmesh: /);
    expect(terminal.printed).toBe('');
  });

  it('names the variable that holds a bad address', async () => {
    const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: 'x' });
    expect(await main(['tree'], terminal)).toBe(2);
    expect(terminal.noted).toMatch(/^spanmesh: SPANMESH_ADDRESS 'x' is invalid/);
  });
});

describe('a command that fails', () => {
  it.each(['tree', 'clusters', 'nodes', 'links', 'conns', 'relays', 'watch'])(
    '%s says in one line that nothing is there',
    async (command) => {
      server.stop();
      const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: server.address });
      expect(await main([command], terminal)).toBe(1);
      expect(terminal.noted).toBe(`spanmesh: cannot reach ${server.address}: is spanmesh running? try \`npm start\`\n`);
      expect(terminal.printed).toBe('');
    },
  );

  it.each(['tree', 'nodes'])('%s gives up when no answer comes', async (command) => {
    server.silent = true;
    const terminal = new RecordingTerminal();
    expect(await main([command, '--address', server.address, '--timeout', '50ms'], terminal)).toBe(1);
    expect(terminal.noted).toBe(`spanmesh: ${server.address} did not answer within 0.05 s\n`);
  });

  it('prints the answer of a service that refuses, escaped', async () => {
    server.explain = () => {
      throw new Error('no node \x1b[2J');
    };
    const terminal = new RecordingTerminal();
    expect(await main(['explain', 'a', 'b', '--address', server.address], terminal)).toBe(1);
    expect(terminal.noted).toBe('spanmesh: no node \\x1b[2J\n');
  });

  it('exits with these codes as a process too', async () => {
    const results = await Promise.all([
      spanmesh('--version'),
      spanmesh('nonsense'),
      spanmesh('tree', '--address', server.address),
      spanmesh('explain', 'x', 'y', '--address', '127.0.0.1:1'),
    ]);
    expect(results.map(({ code }) => code)).toEqual([0, 2, 0, 1]);
    expect(results[0].out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(results[2].err).toBe('');
    expect(results[3].err.split('\n')).toHaveLength(2);
  });

  it('only looks at settings with --check: it connects to nobody, and tries nothing again', async () => {
    const { code, out, err } = await spanmesh('run', 'topology', '--check', '--nats-url', 'nats://127.0.0.1:1');
    expect([code, out, err]).toEqual([0, 'topology: the settings can be used\n', '']);
  });
});

it.each([
  [['help'], 'Usage: spanmesh [options] [command]'],
  [['help', 'volconf'], 'Usage: spanmesh volconf [options] [command]'],
  [['help', 'volconf', 'import'], 'Usage: spanmesh volconf import [options] <file>'],
  [['help', 'run', 'topology'], '--nats-url <value>'],
])('%j prints the help of the command that it names', async (args, text) => {
  const terminal = new RecordingTerminal();
  expect(await main(args, terminal)).toBe(0);
  expect(terminal.printed).toContain(text);
  expect(terminal.noted).toBe('');
});

describe('the output', () => {
  it('has no colours and no control characters when it does not go to a terminal', async () => {
    const { out } = await spanmesh('tree', '--relays', '--address', server.address);
    expect(out).toContain('└── relayed to gw.1:900 on gw.1:103');
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it.each([
    ['clusters', 'clusters', 2],
    ['nodes', 'nodes', 3],
    ['links', 'links', 4],
    ['conns', 'connections', 1],
    ['relays', 'relays', 1],
  ])('%s is one JSON document with all pages', async (command, field, length) => {
    const terminal = new RecordingTerminal();
    expect(await main([command, '-o', 'json', '--address', server.address], terminal)).toBe(0);
    const document = JSON.parse(terminal.printed);
    expect(document[field]).toHaveLength(length);
    // The revision of the first page: a watch that resumes from it misses nothing.
    expect(document.revision).toBe('1-1');
  });

  it.each(['clusters', 'nodes', 'links', 'conns', 'relays'])('%s is a table with all pages', async (command) => {
    const terminal = new RecordingTerminal();
    expect(await main([command, '--address', server.address], terminal)).toBe(0);
    const lines = { clusters: 2, nodes: 3, links: 4, conns: 1, relays: 1 }[command]!;
    expect(terminal.printed.trimEnd().split('\n')).toHaveLength(1 + lines);
  });

  it('has empty lists as [] in JSON', async () => {
    server.trees = [];
    const terminal = new RecordingTerminal();
    await main(['links', '-o', 'json', '--address', server.address], terminal);
    expect(JSON.parse(terminal.printed)).toEqual({ links: [], revision: '1-1' });
  });

  it('has the trees as one document, whatever the parts they came in', async () => {
    const terminal = new RecordingTerminal();
    expect(await main(['tree', '-o', 'json', '--address', server.address], terminal)).toBe(0);
    const { clusters, revision } = JSON.parse(terminal.printed);
    expect(clusters.map((cluster: { nodes: unknown[] }) => cluster.nodes.length)).toEqual([1, 2]);
    expect(revision).toBe('1-1');
  });

  it('has the explanation as one document', async () => {
    server.explain = () =>
      ExplainResponse.fromPartial({ node: NODE, lnkConns: [{ verdicts: [{ link: linkOf(NODE, 1), reason: 1 }] }] });
    const terminal = new RecordingTerminal();
    expect(await main(['explain', 'DATA', '103', '-o', 'json', '--address', server.address], terminal)).toBe(0);
    expect(JSON.parse(terminal.printed).lnkConns[0].verdicts[0]).toMatchObject({
      reason: 'VERDICT_REASON_TAKEN',
      relayed: false,
    });
    expect(server.explained).toEqual([{ node: 'DATA', connection: '103', pageSize: 5000, pageToken: '' }]);
  });

  it('may be cut off by its reader', async () => {
    const [tree] = exampleTrees();
    // More than a pipe holds.
    const links = Array.from({ length: 3000 }, (_, i) => ({ link: linkOf(NODE, i), relays: [] }));
    server.trees = [{ ...tree!, nodes: [{ node: NODE, links }] }];
    const child = spawn(process.execPath, [LAUNCHER, 'tree', '--address', server.address], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = await once(child, 'close');
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });
});
