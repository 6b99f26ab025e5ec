import { programArguments, refuse } from '../programs/arguments.ts';
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

/** Benchmarks that run once, not in rounds. */
const ONCE_NAMES = ['fairness', 'tables', 'flood', 'volconf', 'leafs', 'scale', 'console'] as const;

const USAGE = `usage: npm run bench [-- [NAME…] [--against REV] [--rounds N] [--seconds S] [--leafs N] [options of scale]]

Measures and prints tables; asserts nothing (docs/performance.md).

  NAME…          these benchmarks; all unless told: ${[...Object.keys(ROUND_TITLES), ...ONCE_NAMES].join(', ')}
  --against REV  benchmarks that run in rounds alternate with this commit
  --rounds N     rounds of those (3; with --against 5)
  --seconds S    how long a row is measured (1)
  --leafs N      leafs (10000)
  options of scale, with what they are unless told:
                 ${Object.entries(SCALE_OPTIONS)
                   .map(([name, { default: value }]) => `--${name} ${value}`)
                   .join(' ')}`;

const { values: options, positionals } = programArguments(USAGE, {
  options: {
    ...SCALE_OPTIONS,
    against: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    leafs: { type: 'string' },
  },
  allowPositionals: true,
});

const ONCE: Record<(typeof ONCE_NAMES)[number], () => Promise<void>> = {
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
    const once = isOnce(name) ? ONCE[name] : undefined;
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

function isOnce(name: string): name is (typeof ONCE_NAMES)[number] {
  return ONCE_NAMES.some((one) => one === name);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) refuse(`--${name} is a number above 0, not ${text}`);
  return value;
}
