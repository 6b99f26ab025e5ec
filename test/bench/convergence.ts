import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchDialect } from './generator-peer.ts';
import { cpuSeconds, residentKb } from './machine.ts';
import { REFERENCE } from './reference.ts';
import { startStandaloneProcess } from './spanmesh-process.ts';
import { count, printTable, ratio } from './table.ts';

const GENERATOR = fileURLToPath(new URL('./convergence-generator.ts', import.meta.url));
const FLAPS = 50;

interface GeneratorResult {
  loadSeconds: number;
  generatorCpu: number;
  flapMeanMs: number;
  flapWorstMs: number;
}

/** N spans of one peer until C peers have all of them, then one span flaps; a standalone process over real TCP. */
export async function benchConvergence(): Promise<void> {
  const rows = [
    [
      'spans × peers',
      'dialect',
      'load s',
      'relays/s',
      'vs ref',
      'flap ms',
      'worst',
      'vs ref',
      'CPU s',
      'gen CPU',
      'RSS MB',
    ],
  ];
  for (const reference of REFERENCE.convergence) {
    for (const dialect of ['circuit', 'linkid'] as const) {
      const { spans, receivers } = reference;
      const { result, cpu, rss } = await run(dialect, spans, receivers);
      const rate = (spans * receivers) / result.loadSeconds;
      rows.push([
        `${count(spans)} × ${receivers}`,
        dialect,
        result.loadSeconds.toFixed(2),
        count(rate),
        ratio(rate / reference.relaysPerSecond),
        result.flapMeanMs.toFixed(2),
        result.flapWorstMs.toFixed(2),
        ratio(reference.flapMs / result.flapMeanMs),
        cpu.toFixed(2),
        `${Math.round(result.generatorCpu * 100)} %`,
        count(rss / 1024),
      ]);
    }
  }
  printTable('Convergence: N spans from one peer to C peers, then one flaps (down + up)', rows);
}

async function run(dialect: BenchDialect, spans: number, receivers: number) {
  const spanmesh = await startStandaloneProcess(dialect);
  try {
    const before = cpuSeconds(spanmesh.pids[0]!);
    const args = [GENERATOR, spanmesh.port, dialect, spans, receivers, FLAPS].map(String);
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
    return {
      result: JSON.parse(stdout) as GeneratorResult,
      cpu: cpuSeconds(spanmesh.pids[0]!) - before,
      rss: residentKb(spanmesh.pids[0]!),
    };
  } finally {
    await spanmesh.stop();
  }
}
