import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from './figure.ts';
import type { BenchDialect } from './generator-peer.ts';
import { cpuSeconds } from './machine.ts';
import { buildNative, type Native, removeNative } from './native.ts';
import { startStandaloneProcess } from './spanmesh-process.ts';
import { count } from './table.ts';

const GENERATOR = fileURLToPath(new URL('./convergence-generator.ts', import.meta.url));
const FLAPS = 50;

interface GeneratorResult {
  loadSeconds: number;
  generatorCpu: number;
  flapMeanMs: number;
  flapWorstMs: number;
}

/** N spans and C receivers: the sizes at which the reference daemon was measured, and smaller ones. */
const SIZES = [
  { spans: 2_000, receivers: 8 },
  { spans: 2_000, receivers: 64 },
  { spans: 10_000, receivers: 32 },
] as const;

/**
 * Time until C peers hold relays of all N spans of one peer, and then of one span that flaps; each in a standalone
 * process that has just been started.
 */
export async function convergenceFigures(): Promise<Figure[]> {
  const native = await buildNative();
  const figures: Figure[] = [];
  try {
    for (const dialect of ['circuit', 'linkid'] as const) {
      for (const { spans, receivers } of SIZES) {
        const { result, cpu } = await run(native, dialect, spans, receivers);
        const row = `${dialect} ${count(spans)} × ${receivers}`;
        const relays = spans * receivers;
        figures.push({ row, value: relays / result.loadSeconds, unit: 'relays/s', cpuUs: (cpu / relays) * 1e6 });
        figures.push({
          row: `${row}, flaps`,
          value: 1000 / result.flapMeanMs,
          unit: '/s',
          p99Us: result.flapWorstMs * 1000,
        });
      }
    }
  } finally {
    if (native !== null) await removeNative(native);
  }
  return figures;
}

async function run(native: Native | null, dialect: BenchDialect, spans: number, receivers: number) {
  const spanmesh = await startStandaloneProcess(dialect);
  try {
    const before = cpuSeconds(spanmesh.pids[0]!);
    const args = [spanmesh.port, dialect, spans, receivers, FLAPS].map(String);
    const [program, all] = native === null ? [process.execPath, [GENERATOR, ...args]] : [native.converge, args];
    const { stdout } = await promisify(execFile)(program, all, { timeout: 120_000 });
    return { result: JSON.parse(stdout) as GeneratorResult, cpu: cpuSeconds(spanmesh.pids[0]!) - before };
  } finally {
    await spanmesh.stop();
  }
}
