/**
 * One round of one benchmark, as a process of its own: `one-round.ts NAME SECONDS OUT`. Writes its figures as JSON to
 * the file OUT. Each tree runs its own copy of this file (`against.ts`).
 */
import { writeFileSync } from 'node:fs';
import type { Figure } from './figure.ts';

type Measure = (seconds: number) => Figure[] | Promise<Figure[]>;

/**
 * Each loads its own code only: `codec` and `cipher` are measured in this very process, where each full collection
 * would otherwise visit all that the others have loaded.
 */
const MEASURES: Record<string, () => Promise<Measure>> = {
  routing: async () => (await import('./routing.ts')).routingFigures,
  trunk: async () => (await import('./routing.ts')).trunkFigures,
  'trunk-tls': async () => (await import('./routing.ts')).trunkTlsFigures,
  codec: async () => (await import('./codec.ts')).codecFigures,
  cipher: async () => (await import('./cipher.ts')).cipherFigures,
  encrypted: async () => (await import('./encrypted.ts')).encryptedFigures,
  convergence: async () => (await import('./convergence.ts')).convergenceFigures,
  process: async () => (await import('./process-figures.ts')).processFigures,
  failover: async () => (await import('./failover.ts')).failoverFigures,
};

const [name = '', seconds = '', out = ''] = process.argv.slice(2);
const load = MEASURES[name];
if (load === undefined) throw new Error(`no benchmark ${name}`);
const measure = await load();
writeFileSync(out, JSON.stringify(await measure(Number(seconds))));
process.exit(0);
