import type { ParseArgsOptionsConfig } from 'node:util';
import { median } from './figure.ts';
import type { BenchDialect } from './generator-peer.ts';
import type { Where } from './scale-generator.ts';
import { ScaleWorld, type Used } from './scale-world.ts';
import { count, printTable } from './table.ts';

export const SCALE_OPTIONS = {
  gateways: { type: 'string', default: '1,2,4,8' },
  connections: { type: 'string', default: '200' },
  nodes: { type: 'string', default: '5000' },
  /** How many of the connections ask for spans. */
  takers: { type: 'string', default: 'all' },
  topologies: { type: 'string', default: '1' },
  dialect: { type: 'string', default: 'circuit' },
} as const satisfies ParseArgsOptionsConfig;

/** An argument that cannot be used; the message says which can. */
export class ScaleArgumentError extends Error {}

export type ScaleArguments = { readonly [name in keyof typeof SCALE_OPTIONS | 'rounds']?: string };

/** Number of single span changes, and how many of them are not measured. */
const FLAPS = 100;
const WARM_UP_FLAPS = 40;
/** Transactions of each connection in one round, by the number that it has open at a time. */
const ROUTING = [
  { inFlight: 1, each: 200 },
  { inFlight: 16, each: 800 },
];
/** Most routing rounds that are not counted: one for each gateway, to warm it up. */
const MOST_WARM_UP_ROUNDS = 3;
/** How long idle processes are measured, ms. */
const IDLE_MS = 2000;

interface Sizes {
  readonly gateways: readonly number[];
  readonly connections: number;
  readonly nodes: number;
  readonly takers: number;
  readonly topologies: number;
  readonly dialect: BenchDialect;
  readonly rounds: number;
}

/** Tables with one row for each number of gateways. */
interface Tables {
  readonly relays: string[][];
  readonly changes: string[][];
  readonly routing: string[][];
}

/**
 * The cost of the same work with more and more gateways, as CPU time of all our processes: relays, single span changes,
 * routed transactions. Figures are medians of the rounds; the first round, in which programs warm up, is not counted.
 */
export async function benchScale(args: ScaleArguments = {}): Promise<void> {
  const sizes = sizesOf(args);
  const tables: Tables = {
    relays: [
      [
        'gateways',
        'first load s',
        'CPU s',
        'load s',
        'open µs/relay',
        'topology',
        'gateways',
        'vs first',
        'close µs/relay',
        'gen CPU',
        'NATS CPU s',
        'topology MB',
        'gateways MB',
      ],
    ],
    changes: [
      [
        'gateways',
        'ms',
        'worst',
        'CPU ms',
        'topology',
        'gateways',
        'wake-ups',
        'msgs up',
        'bytes up',
        'msgs down',
        'bytes down',
        'NATS msgs/s',
        'idle',
        'idle CPU %',
      ],
    ],
    routing: [
      ['gateways', 'partner', 'in flight', 'CPU µs', 'vs first', 'wake-ups', 'round trips/s', 'gen CPU', 'trunks'],
    ],
  };
  const first = new Map<string, number>();
  for (const gateways of sizes.gateways) {
    console.error(`scale: ${gateways} gateways…`);
    await measure(gateways, sizes, tables, first);
  }
  const { connections, nodes, takers, dialect } = sizes;
  const what = `${count(connections)} connections, ${count(nodes)} nodes, ${dialect}`;
  printTable(`Scale: relays (${what}): ${count(relaysOf(sizes))} relays opened and closed`, tables.relays);
  printTable(
    'Scale: one node goes and comes again, all others standing; each time until all peers know',
    tables.changes,
  );
  // Who asks for no spans has nobody to call; and what stands is what was asked for.
  if (takers < connections) return;
  printTable('Scale: routed round trips, CPU of all gateways and topology per round trip', tables.routing);
  await benchChange(sizes);
}

async function measure(gateways: number, sizes: Sizes, tables: Tables, first: Map<string, number>): Promise<void> {
  const { connections, topologies, dialect } = sizes;
  const world = await ScaleWorld.start({ gateways, topologies, dialect });
  try {
    await world.connect(connections, sizes.takers);
    tables.relays.push([String(gateways), ...(await relays(world, sizes, first))]);
    tables.changes.push([String(gateways), ...(await changes(world))]);
    if (sizes.takers < connections) return;
    for (const where of ['local', 'remote'] as const) {
      if (where === 'remote' && gateways === 1) continue;
      for (const { inFlight, each } of ROUTING) {
        const row = await routing(world, sizes, { where, inFlight, each }, first);
        tables.routing.push([String(gateways), where, String(inFlight), ...row]);
      }
    }
  } finally {
    await world.stop();
  }
}

async function relays(world: ScaleWorld, sizes: Sizes, first: Map<string, number>): Promise<string[]> {
  const { nodes, rounds } = sizes;
  const all = relaysOf(sizes);
  const offer = () => world.meter(() => world.order({ what: 'offer', nodes }));
  const cold = await offer();
  const opened = [];
  const closed = [];
  for (let round = 0; round < rounds; round++) {
    closed.push((await world.meter(() => world.order({ what: 'withdraw' }))).used);
    opened.push(await offer());
  }
  const memory = world.memory();
  const perRelay = (used: readonly Used[], of: (one: Used) => number) => (median(used.map(of)) / all) * 1e6;
  const warm = opened.map(({ used }) => used);
  const total = perRelay(warm, ours);
  return [
    (cold.result.ms / 1000).toFixed(2),
    ours(cold.used).toFixed(2),
    (median(opened.map(({ result }) => result.ms)) / 1000).toFixed(2),
    total.toFixed(2),
    perRelay(warm, ({ cpu }) => cpu.topology).toFixed(2),
    perRelay(warm, ({ cpu }) => cpu.gateways).toFixed(2),
    versus(first, 'open', total),
    perRelay(closed, ours).toFixed(2),
    percent(median(warm.map(({ cpu, seconds }) => cpu.generator / seconds))),
    median(warm.map(({ cpu }) => cpu.nats)).toFixed(2),
    count(memory.topology),
    count(memory.gateways),
  ];
}

async function changes(world: ScaleWorld): Promise<string[]> {
  await world.order({ what: 'flap', times: WARM_UP_FLAPS });
  const idle = (await world.meter(() => pause(IDLE_MS))).used;
  const { used, result } = await world.meter(() => world.order({ what: 'flap', times: FLAPS }));
  const { flaps } = result;
  const { cpu, traffic, seconds } = used;
  const ms = (cpuSeconds: number) => ((cpuSeconds / FLAPS) * 1000).toFixed(2);
  return [
    (flaps.reduce((a, b) => a + b, 0) / FLAPS).toFixed(2),
    Math.max(...flaps).toFixed(1),
    ms(ours(used)),
    ms(cpu.topology),
    ms(cpu.gateways),
    count(used.wakeUps / FLAPS),
    (traffic.upMessages / FLAPS).toFixed(1),
    count(traffic.upBytes / FLAPS),
    (traffic.downMessages / FLAPS).toFixed(1),
    count(traffic.downBytes / FLAPS),
    (traffic.natsMessages / seconds).toFixed(1),
    (idle.traffic.natsMessages / idle.seconds).toFixed(1),
    ((ours(idle) / idle.seconds) * 100).toFixed(1),
  ];
}

async function routing(
  world: ScaleWorld,
  sizes: Sizes,
  { where, inFlight, each }: { where: Where; inFlight: number; each: number },
  first: Map<string, number>,
): Promise<string[]> {
  const { length: gateways } = world.installation.gateways;
  const order = { what: 'route', where, inFlight, each } as const;
  const all = each * sizes.connections;
  // The more gateways there are, the fewer transactions warm up each of them.
  for (let round = 0; round < Math.min(gateways, MOST_WARM_UP_ROUNDS); round++) await world.order(order);
  const rounds = [];
  for (let round = 0; round < sizes.rounds; round++) rounds.push(await world.meter(() => world.order(order)));
  const microseconds = (median(rounds.map(({ used }) => ours(used))) / all) * 1e6;
  return [
    microseconds.toFixed(1),
    versus(first, `${where} ${inFlight}`, microseconds),
    (median(rounds.map(({ used }) => used.wakeUps)) / all).toFixed(2),
    count((all / median(rounds.map(({ result }) => result.ms))) * 1000),
    percent(median(rounds.map(({ used }) => used.cpu.generator / used.seconds))),
    String(await world.trunks()),
  ];
}

/** Shows that the cost of a change does not depend on what is open, and what another gateway costs the others. */
async function benchChange({ gateways: all, connections, nodes, topologies, dialect }: Sizes): Promise<void> {
  const gateways = Math.max(...all);
  const rows = [['connections', 'nodes', 'relays/flap', 'bytes up', 'bytes down', 'per relay', 'CPU ms']];
  const world = await ScaleWorld.start({ gateways, topologies, dialect });
  try {
    for (const [peers, standing] of [
      [Math.ceil(connections / 2), Math.ceil(nodes / 4)],
      [connections, Math.ceil(nodes / 4)],
      [connections, nodes],
    ] as const) {
      await world.connect(peers);
      await world.order({ what: 'offer', nodes: standing });
      await world.order({ what: 'flap', times: WARM_UP_FLAPS });
      const { used } = await world.meter(() => world.order({ what: 'flap', times: FLAPS }));
      const { upBytes, downBytes } = used.traffic;
      rows.push([
        count(peers),
        count(standing),
        count(2 * (peers - 1)),
        count(upBytes / FLAPS),
        count(downBytes / FLAPS),
        ((upBytes + downBytes) / FLAPS / (2 * (peers - 1))).toFixed(1),
        ((ours(used) / FLAPS) * 1000).toFixed(2),
      ]);
    }
    printTable(`Scale: what a flap costs with ${gateways} gateways, by what stands`, rows);
    await oneMore(world);
  } finally {
    await world.stop();
  }
}

async function oneMore(world: ScaleWorld): Promise<void> {
  const trunks = await world.trunks();
  // Also waits for as long as the idle installation was measured before.
  const idle = (await world.meter(() => pause(IDLE_MS))).used;
  const { used } = await world.meter(() => world.oneMoreGateway());
  const opened = (await world.trunks()) - trunks;
  const extra = (of: (one: Used) => number) => of(used) - (of(idle) * used.seconds) / idle.seconds;
  printTable('Scale: one more gateway, until topology has it; what the others do anyhow is taken off', [
    ['seconds', 'CPU ms of the others', 'Attach msgs', 'Attach bytes', 'NATS msgs', 'NATS bytes', 'trunks opened'],
    [
      used.seconds.toFixed(2),
      (extra(ours) * 1000).toFixed(0),
      count(used.traffic.upMessages + used.traffic.downMessages),
      count(used.traffic.upBytes + used.traffic.downBytes),
      count(extra(({ traffic }) => traffic.natsMessages)),
      count(extra(({ traffic }) => traffic.natsBytes)),
      String(opened),
    ],
  ]);
}

/** Relays that all takers hold together: of every node but their own. */
function relaysOf({ nodes, connections, takers }: Sizes): number {
  let own = 0;
  for (let node = 0; node < nodes; node++) if (node % connections < takers) own++;
  return nodes * takers - own;
}

/** CPU seconds of topologies and gateways. */
function ours({ cpu }: Used): number {
  return cpu.topology + cpu.gateways;
}

function versus(first: Map<string, number>, what: string, value: number): string {
  const reference = first.get(what);
  if (reference === undefined) first.set(what, value);
  const growth = Math.round((value / (reference ?? value) - 1) * 100);
  return reference === undefined ? '' : `${growth > 0 ? '+' : ''}${growth} %`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sizesOf(args: ScaleArguments): Sizes {
  const text = (name: keyof typeof SCALE_OPTIONS) => args[name] ?? SCALE_OPTIONS[name].default;
  const number = (name: keyof typeof SCALE_OPTIONS) => positive(name, text(name));
  const dialect = text('dialect');
  if (dialect !== 'linkid' && dialect !== 'circuit') {
    throw new ScaleArgumentError(`--dialect is linkid or circuit, not ${dialect}`);
  }
  const sizes: Sizes = {
    gateways: text('gateways')
      .split(',')
      .map((each) => positive('gateways', each)),
    connections: number('connections'),
    nodes: number('nodes'),
    takers: text('takers') === 'all' ? number('connections') : Math.min(number('takers'), number('connections')),
    topologies: number('topologies'),
    dialect,
    rounds: positive('rounds', args.rounds ?? '1'),
  };
  const { gateways, connections, nodes } = sizes;
  if (gateways.some((each) => connections % each > 0 || connections < 2 * each) || nodes < connections) {
    throw new ScaleArgumentError(
      'give every gateway the same number of connections, at least two, and every connection a node',
    );
  }
  return sizes;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new ScaleArgumentError(`--${name} must be a whole number above 0: ${text}`);
  return value;
}
