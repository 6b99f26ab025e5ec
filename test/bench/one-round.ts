/**
 * One round of one benchmark, as a process of its own: `one-round.ts NAME SECONDS OUT`. Writes its figures as JSON to
 * the file OUT. Each tree runs its own copy of this file (`against.ts`).
 */
import { writeFileSync } from 'node:fs';
import { cipherFigures } from './cipher.ts';
import { codecFigures } from './codec.ts';
import { convergenceFigures } from './convergence.ts';
import { encryptedFigures } from './encrypted.ts';
import { failoverFigures } from './failover.ts';
import type { Figure } from './figure.ts';
import { processFigures } from './process-figures.ts';
import { routingFigures, trunkFigures, trunkTlsFigures } from './routing.ts';

const FIGURES: Record<string, (seconds: number) => Figure[] | Promise<Figure[]>> = {
  routing: routingFigures,
  trunk: trunkFigures,
  'trunk-tls': trunkTlsFigures,
  codec: codecFigures,
  cipher: cipherFigures,
  encrypted: encryptedFigures,
  convergence: convergenceFigures,
  process: processFigures,
  failover: failoverFigures,
};

const [name = '', seconds = '', out = ''] = process.argv.slice(2);
const figures = FIGURES[name];
if (figures === undefined) throw new Error(`no benchmark ${name}`);
writeFileSync(out, JSON.stringify(await figures(Number(seconds))));
process.exit(0);
