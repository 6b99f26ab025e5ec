/**
 * `npm run bench [-- name… [options of scale]]`: measures, prints tables, asserts nothing. Names: those below; none: all.
 */

import { parseArgs } from 'node:util';
import { benchCipher } from './cipher.ts';
import { benchCodec } from './codec.ts';
import { benchConvergence } from './convergence.ts';
import { benchFairness } from './fairness.ts';
import { benchFlood } from './flood.ts';
import { benchIdleConnections } from './idle-connections.ts';
import { machine } from './machine.ts';
import { benchRouting } from './routing.ts';
import { benchScale, SCALE_OPTIONS, ScaleArgumentError } from './scale.ts';
import { benchVolconf } from './volconf.ts';

const { values: options, positionals: names } = parseArgs({ options: SCALE_OPTIONS, allowPositionals: true });

const BENCHES: Record<string, () => void | Promise<void>> = {
  codec: benchCodec,
  convergence: benchConvergence,
  routing: benchRouting,
  fairness: benchFairness,
  memory: benchIdleConnections,
  cipher: benchCipher,
  flood: benchFlood,
  volconf: benchVolconf,
  scale: () => benchScale(options),
};

const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`bench: no such benchmark: ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
console.log(machine());
try {
  for (const name of names.length > 0 ? names : Object.keys(BENCHES)) await BENCHES[name]!();
} catch (error) {
  if (!(error instanceof ScaleArgumentError)) throw error;
  console.error(error.message);
  process.exit(2);
}
process.exit(0);
