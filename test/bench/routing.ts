import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchDialect } from './generator-peer.ts';
import { cpuSeconds } from './machine.ts';
import { REFERENCE } from './reference.ts';
import { type Measured, startStandaloneProcess, startTwoGateways } from './spanmesh-process.ts';
import { count, printTable, ratio } from './table.ts';

const GENERATOR = fileURLToPath(new URL('./routing-generator.ts', import.meta.url));
const SECONDS = 3;

interface GeneratorResult {
  roundTripsPerSecond: number;
  auxMbPerSecond: number;
  p50Us: number;
  p99Us: number;
  generatorCpu: number;
}

/** Transactions between two peers, over real TCP: through one gateway, and across two. */
export async function benchRouting(): Promise<void> {
  await measure('Routing: transactions from one peer to another through one gateway', startStandaloneProcess);
  await measure('Routing: the same across two gateways (a trunk between them)', startTwoGateways);
}

async function measure(title: string, start: (dialect: BenchDialect) => Promise<Measured>): Promise<void> {
  const rows = [
    ['in flight', 'aux', 'dialect', 'round trips/s', 'MB/s', 'vs ref', 'p50 µs', 'p99 µs', 'router CPU', 'gen CPU'],
  ];
  for (const { inflight, aux, roundTripsPerSecond, mbPerSecond } of REFERENCE.routing) {
    for (const dialect of ['circuit', 'linkid'] as const) {
      const { result, cpu } = await run(await start(dialect), dialect, inflight, aux);
      const measured = mbPerSecond === null ? result.roundTripsPerSecond : result.auxMbPerSecond;
      rows.push([
        String(inflight),
        aux === 0 ? '-' : `${aux / 1024} KiB`,
        dialect,
        count(result.roundTripsPerSecond),
        aux === 0 ? '' : count(result.auxMbPerSecond),
        ratio(measured / (mbPerSecond ?? roundTripsPerSecond)),
        count(result.p50Us),
        count(result.p99Us),
        `${Math.round(cpu * 100)} %`,
        `${Math.round(result.generatorCpu * 100)} %`,
      ]);
    }
  }
  printTable(title, rows);
}

async function run(spanmesh: Measured, dialect: BenchDialect, inflight: number, aux: number) {
  try {
    const cpu = () => spanmesh.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const before = cpu();
    const args = [GENERATOR, spanmesh.port, dialect, inflight, aux, aux, SECONDS, spanmesh.otherPort].map(String);
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    return { result: JSON.parse(stdout) as GeneratorResult, cpu: (cpu() - before) / SECONDS };
  } finally {
    await spanmesh.stop();
  }
}
