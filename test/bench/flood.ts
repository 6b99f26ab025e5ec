import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Flood } from '../peer/flood.ts';
import type { FloodKind } from '../peer/flood-generator.ts';
import { cpuSeconds, residentKb } from './machine.ts';
import type { PacedResult } from './paced-generator.ts';
import { startStandaloneProcess } from './spanmesh-process.ts';
import { count, printTable } from './table.ts';

const GENERATOR = fileURLToPath(new URL('./paced-generator.ts', import.meta.url));
const PAIRS = 25;
const RATE = 10_000;
const SECONDS = 5;
/** The flood lasts a little longer than the measurement. */
const FLOOD_SECONDS = SECONDS + 3;

/**
 * The rate of good peers, loaded to half of their maximum, while another address attempts 10,000 connections a second:
 * once an address that the keys directory does not name, once one that may connect.
 */
export async function benchFlood(): Promise<void> {
  const rows = [
    [
      'flood',
      'connected/s',
      'load/s',
      'before/s',
      'during/s',
      'kept',
      'p99 before µs',
      'p99 µs',
      'router CPU',
      'MB more',
    ],
  ];
  const keys = mkdtempSync(join(tmpdir(), 'spanmesh-flood-'));
  try {
    mkdirSync(join(keys, 'remote'));
    writeFileSync(join(keys, 'remote', '127.0.1.0_24.none'), '');
    rows.push(...(await measure('unknown', { SPANMESH_KEYS_DIR: keys })));
    rows.push(...(await measure('allowed', { SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '1000' })));
  } finally {
    rmSync(keys, { recursive: true });
  }
  printTable(
    `Floods: routed transactions of ${2 * PAIRS} peers before and during one of ${count(RATE)} attempts/s`,
    rows,
  );
}

async function measure(who: string, settings: Record<string, string>): Promise<string[][]> {
  const rows: string[][] = [];
  const spanmesh = await startStandaloneProcess('circuit', settings);
  const { port } = spanmesh;
  const pid = spanmesh.pids[0]!;
  try {
    const load = Math.floor((await run(port, 0)).answeredPerSecond / 2);
    for (const kind of ['close', 'garbage', 'silent'] as FloodKind[]) {
      const before = await run(port, load);
      const memory = residentKb(pid);
      const flood = new Flood({ port, rate: RATE, phases: [[kind, FLOOD_SECONDS]] });
      await flood.begun;
      const [cpu, began] = [cpuSeconds(pid), performance.now()];
      const during = await run(port, load);
      const busy = (cpuSeconds(pid) - cpu) / ((performance.now() - began) / 1000);
      const [reached] = await flood.over;
      rows.push([
        `${who}, ${kind}`,
        count(reached!.connected / reached!.seconds),
        count(load),
        count(before.answeredPerSecond),
        count(during.answeredPerSecond),
        `${Math.round((100 * during.answeredPerSecond) / before.answeredPerSecond)} %`,
        count(before.p99Us),
        count(during.p99Us),
        `${Math.round(busy * 100)} %`,
        count(Math.max(0, residentKb(pid) - memory) / 1024),
      ]);
    }
  } finally {
    await spanmesh.stop();
  }
  return rows;
}

/** One run of the good peers; `rate` 0: as much as possible. */
async function run(port: number, rate: number): Promise<PacedResult> {
  const args = [GENERATOR, port, PAIRS, SECONDS, rate].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return JSON.parse(stdout.slice(stdout.indexOf('{'))) as PacedResult;
}
