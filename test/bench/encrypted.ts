import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KeysDir } from '../peer/keys-dir.ts';
import type { Figure } from './figure.ts';
import { cpuSeconds } from './machine.ts';
import { type Measured, startStandaloneProcess } from './spanmesh-process.ts';

const GENERATOR = fileURLToPath(new URL('./routing-generator.ts', import.meta.url));

const LOADS = [
  { inflight: 1, aux: 0 },
  { inflight: 32, aux: 0 },
  { inflight: 256, aux: 0 },
  { inflight: 16, aux: 4096 },
] as const;
type Load = (typeof LOADS)[number];
const WARM_UP_SECONDS = 1;

/**
 * Transactions between two encrypted peers and between two plaintext peers, in turns. The generator encrypts, too, and
 * so takes more of the machine; therefore the rate for each CPU second of the gateway is a row of its own.
 */
export async function encryptedFigures(seconds: number): Promise<Figure[]> {
  const keys = new KeysDir();
  const started: Measured[] = [];
  try {
    keys.write('remote/127.0.0.1.pub', keys.peer.pub);
    const [own, router] = [join(keys.path, 'generator.prv'), join(keys.path, 'rsa.pub')];
    writeFileSync(own, keys.peer.prv, { mode: 0o600 });
    const encrypted = await startStandaloneProcess('circuit', { SPANMESH_KEYS_DIR: keys.path });
    started.push(encrypted);
    const plain = await startStandaloneProcess('circuit');
    started.push(plain);
    const figures: Figure[] = [];
    // Not counted: programs warm up, and handshakes are done.
    await measure(encrypted, LOADS[1], WARM_UP_SECONDS, [own, router]);
    await measure(plain, LOADS[1], WARM_UP_SECONDS, []);
    for (const load of LOADS) {
      const ours = await measure(encrypted, load, seconds, [own, router]);
      const least = await measure(plain, load, seconds, []);
      const row = `circuit ${load.inflight} × ${load.aux === 0 ? 'no aux' : `${load.aux / 1024} KiB`}`;
      figures.push({ row, value: ours.rate, unit: '/s', floor: least.rate, p99Us: ours.p99Us, cpuUs: ours.cpuUs });
      figures.push({ row: `${row}, a core`, value: 1e6 / ours.cpuUs, unit: '/s', floor: 1e6 / least.cpuUs });
    }
    return figures;
  } finally {
    for (const one of started) await one.stop();
    keys.remove();
  }
}

async function measure({ port, pids }: Measured, { inflight, aux }: Load, seconds: number, keys: readonly string[]) {
  const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = cpu();
  const args = [port, 'circuit', inflight, aux, aux, seconds, port].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, [GENERATOR, ...args, ...keys], { timeout: 60_000 });
  const { roundTripsPerSecond: rate, p99Us } = JSON.parse(stdout) as { roundTripsPerSecond: number; p99Us: number };
  return { rate, p99Us, cpuUs: ((cpu() - before) / (rate * seconds)) * 1e6 };
}
