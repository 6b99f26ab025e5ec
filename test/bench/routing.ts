import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from './figure.ts';
import type { BenchDialect } from './generator-peer.ts';
import { cpuSeconds } from './machine.ts';
import { buildNative, type Native, removeNative, startFloor } from './native.ts';
import {
  type Measured,
  startStandaloneProcess,
  startTwoGateways,
  startTwoGatewaysWithTls,
} from './spanmesh-process.ts';

const GENERATOR = fileURLToPath(new URL('./routing-generator.ts', import.meta.url));
/** Seconds of each load that are not counted, before any of them is: a fresh process compiles its code meanwhile. */
const WARM_UP_SECONDS = 1;

interface Load {
  readonly inflight: number;
  /** Bytes of aux data each way. */
  readonly aux: number;
}

const LOADS: readonly Load[] = [
  { inflight: 1, aux: 0 },
  { inflight: 32, aux: 0 },
  { inflight: 256, aux: 0 },
  { inflight: 1, aux: 65536 },
  { inflight: 16, aux: 65536 },
  { inflight: 16, aux: 4096 },
];

/** The output of both generators. */
interface GeneratorResult {
  readonly roundTripsPerSecond: number;
  readonly p99Us: number;
}

interface Where {
  readonly port: number;
  readonly otherPort: number;
}

/** Transactions between two peers over real TCP, through one gateway. */
export function routingFigures(seconds: number): Promise<Figure[]> {
  return measureAll(seconds, startStandaloneProcess);
}

/** Transactions between two peers on different gateways, with a trunk between them. */
export function trunkFigures(seconds: number): Promise<Figure[]> {
  return measureAll(seconds, startTwoGateways);
}

/** As `trunkFigures`, with certificates on the trunk. */
export function trunkTlsFigures(seconds: number): Promise<Figure[]> {
  return measureAll(seconds, startTwoGatewaysWithTls);
}

/** Measures row by row, the floor right after ours. */
async function measureAll(seconds: number, start: (dialect: BenchDialect) => Promise<Measured>): Promise<Figure[]> {
  const native = await buildNative();
  const floor = native && (await startFloor(native));
  const figures: Figure[] = [];
  try {
    for (const dialect of ['circuit', 'linkid'] as const) {
      const spanmesh = await start(dialect);
      try {
        for (const load of LOADS) await generate(native, spanmesh, dialect, load, WARM_UP_SECONDS);
        for (const load of LOADS) {
          const cpuBefore = cpuOf(spanmesh);
          const ours = await generate(native, spanmesh, dialect, load, seconds);
          const roundTrips = ours.roundTripsPerSecond * seconds;
          // The floor speaks circuit only; linkid is compared with the same.
          const least =
            floor && (await generate(native, { port: floor.port, otherPort: floor.port }, 'circuit', load, seconds));
          figures.push({
            row: `${dialect} ${load.inflight} × ${load.aux === 0 ? 'no aux' : `${load.aux / 1024} KiB`}`,
            ...inUnit(ours, load),
            p99Us: ours.p99Us,
            cpuUs: ((cpuOf(spanmesh) - cpuBefore) / roundTrips) * 1e6,
            ...(least && { floor: inUnit(least, load).value }),
          });
        }
      } finally {
        await spanmesh.stop();
      }
    }
  } finally {
    floor?.stop();
    if (native !== null) await removeNative(native);
  }
  return figures;
}

/** The value and unit of a result: round trips, or bytes of aux data in both directions. */
function inUnit({ roundTripsPerSecond }: GeneratorResult, { aux }: Load): { value: number; unit: string } {
  if (aux === 0) return { value: roundTripsPerSecond, unit: '/s' };
  return { value: (roundTripsPerSecond * 2 * aux) / 1e6, unit: 'MB/s' };
}

async function generate(
  native: Native | null,
  { port, otherPort }: Where,
  dialect: BenchDialect,
  { inflight, aux }: Load,
  seconds: number,
): Promise<GeneratorResult> {
  const args = [port, dialect, inflight, aux, aux, seconds, otherPort].map(String);
  const [program, all] = native === null ? [process.execPath, [GENERATOR, ...args]] : [native.load, args];
  const { stdout } = await promisify(execFile)(program, all, { timeout: 60_000 });
  return JSON.parse(stdout);
}

function cpuOf({ pids }: Measured): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}
