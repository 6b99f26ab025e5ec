import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchDialect } from './generator-peer.ts';
import { type Measured, startStandaloneProcess, startTwoGateways } from './spanmesh-process.ts';
import { count, printTable } from './table.ts';

const GENERATOR = fileURLToPath(new URL('./fairness-generator.ts', import.meta.url));
/** Turns of each kind. They alternate, because the speed of a machine changes with time. */
const ROUNDS = 4;
/** Duration of a turn: it ends before the gateway would close the connection of the owner that does not read. */
const SECONDS = 1;
/** The part of its rate that each other pair should keep while one receiver does not read. */
const GOAL = 0.9;

interface GeneratorResult {
  /** Blocks of each pair, summed over all turns of the kind. */
  alone: number[];
  beside: number[];
}

/** The rates of other pairs while one receiver does not read although somebody sends to it. */
export async function benchFairness(): Promise<void> {
  const rows = [['gateways', 'dialect', 'blocks/s alone', 'beside a stuck one', 'kept', 'worst pair', 'goal']];
  const starts: [string, (dialect: BenchDialect) => Promise<Measured>][] = [
    ['one', startStandaloneProcess],
    ['two', startTwoGateways],
  ];
  for (const [gateways, start] of starts) {
    for (const dialect of ['circuit', 'linkid'] as const) {
      const { alone, beside } = await run(await start(dialect), dialect);
      const worst = Math.min(...beside.map((blocks, i) => blocks / alone[i]!));
      const kept = sum(beside) / sum(alone);
      const verdict = kept >= GOAL ? 'met' : 'MISSED';
      rows.push([gateways, dialect, rate(sum(alone)), rate(sum(beside)), percent(kept), percent(worst), verdict]);
    }
  }
  printTable('Fairness: 4 pairs with 64 KiB blocks, while a fifth receiver does not read', rows);
}

async function run(spanmesh: Measured, dialect: BenchDialect): Promise<GeneratorResult> {
  try {
    const args = [GENERATOR, spanmesh.port, dialect, ROUNDS, SECONDS, spanmesh.otherPort].map(String);
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    return JSON.parse(stdout) as GeneratorResult;
  } finally {
    await spanmesh.stop();
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const rate = (blocks: number) => count(blocks / (ROUNDS * SECONDS));
const percent = (part: number) => `${Math.round(part * 100)} %`;
