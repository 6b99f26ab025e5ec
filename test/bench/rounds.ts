import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, median } from './figure.ts';
import { REFERENCE } from './reference.ts';
import { count, printTable, ratio } from './table.ts';
import { isReached, showTarget, targetOf } from './targets.ts';

/** The directory of the repository that contains this file. */
export const HERE: string = fileURLToPath(new URL('../../', import.meta.url));

export interface RoundsOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Another tree to alternate with; null: none. */
  readonly against: string | null;
}

/** Headings of the tables of benchmarks that run in rounds. */
export const ROUND_TITLES: Readonly<Record<string, string>> = {
  routing: 'Routing: transactions from one peer to another through one gateway',
  trunk: 'Routing: the same across two gateways (a trunk between them)',
  'trunk-tls': 'Routing: across two gateways whose trunk is behind certificates (mTLS)',
  codec: 'Codec: framing, header, CRC-32C; each frame decoded and an answer of 64 bytes encoded',
  cipher: 'Cipher: AES-256-GCM with a tag for every 64 bytes; plaintext, one direction',
  encrypted: 'Routing between two encrypted peers; the floor is the same in plaintext, with the same generator',
  convergence: 'Convergence: N spans from one peer to C peers, then one flaps (down + up)',
  process: 'One process: how soon it is there, and what it takes of the memory',
  failover: 'Fail-over: two topologies, two gateways, a volconf, NATS; 200 peers',
};

/** Benchmarks whose rounds have a fixed duration. They have few rounds, and each is printed. */
const LASTING: ReadonlySet<string> = new Set(['failover']);

/** Runs a benchmark in rounds, alternating with the other tree if there is one, and prints medians. */
export async function benchRounds(name: string, options: RoundsOptions): Promise<void> {
  const { rounds, against } = options;
  const ours: Figure[][] = [];
  const theirs: Figure[][] = [];
  for (let round = 0; round < rounds; round++) {
    // The tree that runs second finds a warmer, or busier, machine. So the trees take turns in that, too.
    if (against !== null && round % 2 === 0) theirs.push(await oneRound(against, name, options));
    ours.push(await oneRound(HERE, name, options));
    if (against !== null && round % 2 === 1) theirs.push(await oneRound(against, name, options));
  }
  const each = LASTING.has(name) ? '' : ` of ${options.seconds} s`;
  printTable(
    `${ROUND_TITLES[name]}; medians of ${rounds} rounds${each}`,
    against === null ? alone(name, ours) : compared(ours, theirs),
  );
  if (LASTING.has(name)) {
    if (against !== null) printTable('Each round before', byRound(theirs));
    printTable(against === null ? 'Each round' : 'Each round after', byRound(ours));
  }
}

async function oneRound(tree: string, name: string, { seconds }: RoundsOptions): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'spanmesh-round-'));
  const out = join(directory, 'figures.json');
  try {
    const args = [join(tree, 'test/bench/one-round.ts'), name, String(seconds), out];
    const [code] = await once(spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }), 'exit');
    if (code !== 0) throw new Error(`a round of ${name} in ${tree} ended with code ${code}`);
    return JSON.parse(await readFile(out, 'utf8'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function alone(name: string, rounds: readonly Figure[][]): string[][] {
  const table = [['', 'median', 'least', 'most', 'of floor', 'vs daemon', 'p99 µs', 'CPU µs', 'target', 'reached']];
  for (const row of rowsOf(rounds)) {
    const figures = ofRow(rounds, row);
    const values = figures.map(({ value }) => value);
    const unit = figures[0]?.unit ?? '';
    const floors = figures.flatMap(({ value, floor }) => (floor === undefined ? [] : [value / floor]));
    const ofFloor = floors.length === 0 ? undefined : median(floors);
    const value = median(values);
    const ofDaemon = comparedWithDaemon(name, row.replace(/^\S+ /, ''), value, ofFloor);
    const isLessBetter = figures[0]?.isLessBetter === true;
    const latencies = figures.flatMap(({ p99Us }) => p99Us ?? []);
    const p99Us = latencies.length === 0 ? undefined : median(latencies);
    const target = targetOf(name, row);
    const isThere = target && isReached(target, { value, ofFloor, ofDaemon, p99Us }, isLessBetter);
    const show = (one: number) => (isLessBetter && one < 100 ? one.toFixed(2) : count(one));
    table.push([
      row,
      `${show(value)} ${unit}`,
      show(Math.min(...values)),
      show(Math.max(...values)),
      ofFloor === undefined ? '' : ofFloor.toFixed(2),
      ofDaemon === undefined ? '' : ratio(ofDaemon),
      optional(figures, ({ p99Us }) => p99Us, 0),
      optional(figures, ({ cpuUs }) => cpuUs, 2),
      target === undefined ? '' : showTarget(target, isLessBetter),
      target === undefined ? '' : isThere === null ? 'not measured' : isThere ? 'yes' : 'no',
    ]);
  }
  return table;
}

/**
 * How many times the daemon's rate was reached: by both rates' parts of the floor if there is a floor, else by the
 * daemon's figure from a machine of this kind.
 */
function comparedWithDaemon(name: string, row: string, value: number, ofFloor: number | undefined): number | undefined {
  if (name === 'convergence') {
    const daemon = REFERENCE.daemonRelaysPerSecond[row];
    return daemon === undefined ? undefined : value / daemon;
  }
  const daemon = name === 'encrypted' ? undefined : REFERENCE.daemonOfFloor[row];
  return ofFloor === undefined || daemon === undefined ? undefined : ofFloor / daemon;
}

function compared(ours: readonly Figure[][], theirs: readonly Figure[][]): string[][] {
  const table = [['', 'before', 'after', 'ratio', 'won', 'CPU', 'p99 before', 'p99 after', 'of floor']];
  for (const row of rowsOf(ours)) {
    const after = ofRow(ours, row);
    const before = ofRow(theirs, row);
    const pairs = after.flatMap((figure, i) => (before[i] === undefined ? [] : [{ figure, other: before[i] }]));
    const floors = after.flatMap(({ value, floor }) => (floor === undefined ? [] : [value / floor]));
    const cpu = pairs.flatMap(({ figure, other }) => (figure.cpuUs && other.cpuUs ? [figure.cpuUs / other.cpuUs] : []));
    table.push([
      row,
      count(median(before.map(({ value }) => value))),
      `${count(median(after.map(({ value }) => value)))} ${after[0]?.unit ?? ''}`,
      `${median(pairs.map(({ figure, other }) => figure.value / other.value)).toFixed(2)} ×`,
      `${pairs.filter(({ figure, other }) => isBetter(figure, other)).length}/${pairs.length}`,
      cpu.length === 0 ? '' : `${median(cpu).toFixed(2)} ×`,
      optional(before, ({ p99Us }) => p99Us, 0),
      optional(after, ({ p99Us }) => p99Us, 0),
      floors.length === 0 ? '' : median(floors).toFixed(2),
    ]);
  }
  return table;
}

function isBetter(one: Figure, other: Figure): boolean {
  return one.isLessBetter === true ? one.value < other.value : one.value > other.value;
}

function byRound(rounds: readonly Figure[][]): string[][] {
  const rows = rowsOf(rounds).map((row) => [row, ...ofRow(rounds, row).map(({ value }) => count(value))]);
  return [['', ...rounds.map((_, i) => String(i + 1))], ...rows];
}

function rowsOf(rounds: readonly Figure[][]): string[] {
  return (rounds[0] ?? []).map(({ row }) => row);
}

function ofRow(rounds: readonly Figure[][], row: string): Figure[] {
  return rounds.flatMap((figures) => figures.filter((figure) => figure.row === row));
}

function optional(figures: readonly Figure[], of: (figure: Figure) => number | undefined, digits: number): string {
  const values = figures.flatMap((figure) => of(figure) ?? []);
  if (values.length === 0) return '';
  return digits === 0 ? count(median(values)) : median(values).toFixed(digits);
}
