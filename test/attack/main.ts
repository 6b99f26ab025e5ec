import process from 'node:process';
import { programArguments, refuse } from '../programs/arguments.ts';
import { ATTACKS } from './attacks.ts';
import { Honest } from './honest.ts';
import { AttackerProcess, besiege } from './siege.ts';
import { failures, kept, mebibytes, percent } from './verdict.ts';
import { AttackWorld } from './world.ts';

const USAGE = `usage: npm run attack [-- [--only NAME[,NAME]] [--seconds S] [--full] [--logs] [--list]]

Runs attacks on a gateway that honest peers use, and prints a line for each (docs/security.md, "The attack suite"). Exit
code 1 if one of them has done what it must not.

  --only NAME,…  these attacks; all unless told
  --seconds S    how long each turn of an attack is measured (1)
  --full         as large as the limits allow
  --logs         what the gateway logs
  --list         the attacks, and what each does`;

const { values } = programArguments(USAGE, {
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    full: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    logs: { type: 'boolean', default: false },
  },
});
const { full } = values;
const seconds = Number(values.seconds);
const wanted = values.only?.split(',') ?? [];
const unknown = wanted.filter((name) => !ATTACKS.some((attack) => attack.name === name));
if (!(seconds > 0) || unknown.length > 0) {
  refuse(
    unknown.length > 0 ? `no such attack: ${unknown.join(', ')}; --list shows all` : '--seconds is a number above 0',
  );
}
const chosen = [...ATTACKS.entries()].filter(([, { name }]) => wanted.length === 0 || wanted.includes(name));
if (values.list) {
  for (const [, { name, about }] of chosen) console.log(`${name.padEnd(30)}${about}`);
  process.exit(0);
}

/**
 * Turns that may be repeated in the whole run, after the first of each attack. With the default seconds they take a
 * minute or two. A machine that others use, too, needs many: what they do falls into one of the turns compared.
 */
const spare = { turns: Math.max(5, Math.ceil((2 * chosen.length) / 3)) };
let world: AttackWorld | null = null;
let honest: Honest | null = null;
let attacker: AttackerProcess | null = null;

async function stop(): Promise<void> {
  attacker?.stop();
  honest?.stop();
  await world?.stop();
  world = null;
  honest = null;
  attacker = null;
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stop().finally(() => process.exit(1)));

const began = performance.now();
const failed: string[] = [];
print(['attack', 'trips', 'calls', 'span', 'memory', 'his CPU', 'tried', 'stopped', '']);
for (const [at, [number, attack]] of chosen.entries()) {
  if (world === null || honest === null) {
    world = await AttackWorld.start(full);
    honest = await Honest.start(world);
    // Gives the programs time to warm up.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  const now: AttackerProcess = attacker ?? new AttackerProcess(attack, world, number + 1, full);
  await now.ready();
  const next = chosen[at + 1];
  attacker = next === undefined ? null : new AttackerProcess(next[1], world, next[0] + 1, full);
  // Its start must not fall into the measurement.
  await attacker?.ready();
  const seen = await besiege(now, { world, honest, seconds, number: number + 1, spare });
  now.stop();
  const found = failures(attack, seen);
  print([
    attack.name,
    percent(kept(seen.turns, 'trips')),
    percent(kept(seen.turns, 'calls')),
    `${Math.round(seen.slowestSpan)} ms`,
    mebibytes(seen.memory),
    percent(seen.share),
    String(seen.tried),
    String(seen.stopped),
    found.length === 0 ? 'ok' : `FAILED: ${found.join('; ')}`,
  ]);
  if (values.logs) for (const line of seen.lines) console.log(`    ${line}`);
  if (found.length === 0) continue;
  failed.push(attack.name);
  // After faults, the next attack gets a new world.
  if (seen.faults.length > 0) await stop();
}
await stop();
const time = Math.round((performance.now() - began) / 1_000);
console.log(`${chosen.length - failed.length} of ${chosen.length} attacks got nothing that is others’, in ${time} s`);
if (failed.length > 0) console.log(`again: npm run attack -- --only ${failed.join(',')}`);
process.exit(failed.length === 0 ? 0 : 1);

function print(cells: readonly string[]): void {
  const widths = [30, 8, 8, 10, 10, 9, 8, 9, 0];
  console.log(
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('')
      .trimEnd(),
  );
}
