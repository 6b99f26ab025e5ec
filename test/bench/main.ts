/**
 * `npm run bench [-- name… [--against REV] [--rounds N] [--seconds S] [options of scale] [--leafs N]]`: measures and
 * prints tables, asserts nothing. Names: see below; without a name: all. `--against`: benchmarks that run in rounds
 * alternate with that commit.
 */

import { parseArgs } from 'node:util';
import { checkOut, RevisionError } from './against.ts';
import { benchConsole } from './console.ts';
import { benchFairness } from './fairness.ts';
import { benchFlood } from './flood.ts';
import { benchLeafs } from './leafs.ts';
import { machine } from './machine.ts';
import { benchRounds, ROUND_TITLES } from './rounds.ts';
import { benchScale, SCALE_OPTIONS, ScaleArgumentError } from './scale.ts';
import { benchTableMemory } from './table-memory.ts';
import { benchVolconf } from './volconf.ts';

const { values: options, positionals } = parseArgs({
  options: {
    ...SCALE_OPTIONS,
    against: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    leafs: { type: 'string' },
  },
  allowPositionals: true,
});

const ONCE: Record<string, () => Promise<void>> = {
  fairness: benchFairness,
  tables: benchTableMemory,
  flood: benchFlood,
  volconf: benchVolconf,
  leafs: () => benchLeafs(positive('leafs', options.leafs ?? '10000'), seconds),
  scale: () => benchScale(options),
  console: benchConsole,
};
const IN_ROUNDS = Object.keys(ROUND_TITLES);
const all = options.against === undefined ? [...IN_ROUNDS, ...Object.keys(ONCE)] : IN_ROUNDS;

const unknown = positionals.filter((name) => !all.includes(name));
if (unknown.length > 0) refuse(`no such benchmark: ${unknown.join(', ')}; there are ${all.join(', ')}`);
const rounds = positive('rounds', options.rounds ?? (options.against === undefined ? '3' : '5'));
const seconds = positive('seconds', options.seconds ?? '1');

console.log(machine());
let other: Awaited<ReturnType<typeof checkOut>> | null = null;
try {
  if (options.against !== undefined) other = await checkOut(options.against);
  for (const name of positionals.length > 0 ? positionals : all) {
    const once = ONCE[name];
    if (once === undefined) await benchRounds(name, { rounds, seconds, against: other?.tree ?? null });
    else await once();
  }
} catch (error) {
  if (!(error instanceof ScaleArgumentError || error instanceof RevisionError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
} finally {
  await other?.remove();
}
process.exit();

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) refuse(`--${name} is a number above 0, not ${text}`);
  return value;
}

function refuse(why: string): never {
  console.error(`bench: ${why}`);
  process.exit(2);
}
