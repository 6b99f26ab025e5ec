import { writeFileSync } from 'node:fs';
import process, { argv, exit, stdout } from 'node:process';
import { programArguments, refuse } from '../programs/arguments.ts';
import type { LeafCounts } from './leafs.ts';
import { planRound, type SoakSizes, showRound } from './plan.ts';
import { SETTINGS, type SettingName, settingsOf } from './settings.ts';
import { SoakWorld } from './world.ts';

/**
 * How long everything may take to become whole again after a round, ms: several times-to-live, leases and retries one
 * after the other.
 */
const HEAL_MS = 60_000;

const USAGE = `usage: npm run soak [-- [--setting NAME|all] [--seed N] [--minutes M] [--gateways N] [--topologies N] [--peers N]
  [--leafs N] [--first-round N] [--logs FILE] [--log-level LEVEL]]

Runs an installation under load and faults (docs/testing.md). Each setting ends at its first finding; exit code 1 if
there was one.

  --setting NAME    ${Object.keys(SETTINGS).join(', ')} or all (usual)
  --seed N          what decides on the faults; a new one unless told
  --minutes M       of each setting (3)
  --gateways N, --topologies N, --peers N, --leafs N
                    sizes other than the setting's
  --first-round N   begins with this round of the seed (0)
  --logs FILE       what the processes have logged, at the end
  --log-level L     what they log (warn)`;

const { values } = programArguments(USAGE, {
  args: argv.slice(2),
  options: {
    setting: { type: 'string', default: 'usual' },
    seed: { type: 'string' },
    minutes: { type: 'string', default: '3' },
    gateways: { type: 'string' },
    topologies: { type: 'string' },
    peers: { type: 'string' },
    leafs: { type: 'string' },
    'first-round': { type: 'string', default: '0' },
    logs: { type: 'string' },
    'log-level': { type: 'string', default: 'warn' },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
const minutes = Number(values.minutes);
const firstRound = Number(values['first-round']);
/** The present world, to be stopped at a signal: its processes must not outlive this one. */
let world: SoakWorld | null = null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void Promise.resolve(world?.stop()).finally(() => exit(1)));
}
let findings = 0;
for (const name of wantedSettings()) findings += await soak(name);
exit(findings === 0 ? 0 : 1);

function wantedSettings(): SettingName[] {
  try {
    return settingsOf(values.setting);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** Runs one setting, round after round. Returns the number of findings: 0 or 1. */
async function soak(name: SettingName): Promise<number> {
  const sizes = sizesOf(name);
  const shownSizes = Object.entries(sizes).flatMap(([what, n]) => (typeof n === 'number' ? [`${n} ${what}`] : []));
  print(`setting ${name}, seed ${seed}: ${shownSizes.join(', ')}`);
  const made = await SoakWorld.start(sizes, seed, { SPANMESH_LOG_LEVEL: values['log-level'] });
  world = made;
  const answered = () => made.peers.reduce((all, peer) => all + peer.answered, 0);
  const began = performance.now();
  let round = firstRound;
  let failed = false;
  try {
    print(`whole for the first time after ${Math.round(await made.quiet(HEAL_MS))} ms`);
    while (performance.now() - began < minutes * 60_000) {
      const steps = planRound(seed, round, sizes);
      print(`round ${round}: ${showRound(steps)}`);
      const before = answered();
      await made.run(steps);
      if (answered() === before) throw new Error('no transaction was answered in this round');
      print(`round ${round}: whole again after ${Math.round(await made.quiet(HEAL_MS))} ms`);
      round++;
    }
    await made.leave();
    print('all have gone, and nothing is left of them');
  } catch (error) {
    failed = true;
    print(`FOUND in round ${round} of seed ${seed}, setting ${name}:\n${(error as Error).message}`);
    if (values.logs === undefined) print(`logs:\n${made.logs()}`);
    print(`again: npm run soak -- --setting ${name} --seed ${seed} --first-round ${round}`);
  }
  if (values.logs !== undefined) writeFileSync(values.logs, made.logs(), { flag: 'a' });
  await made.stop();
  world = null;
  const time = Math.round((performance.now() - began) / 1000);
  print(
    [
      `setting ${name}, seed ${seed}: ${round - firstRound} rounds in ${time} s`,
      ...summary(made),
      `findings: ${failed ? 1 : 0}`,
    ].join('; '),
  );
  return failed ? 1 : 0;
}

/** The sizes of a setting, changed by the command line's. */
function sizesOf(name: SettingName): SoakSizes {
  const { gateways, topologies, peers, leafs, ...rest } = SETTINGS[name];
  const sizes: SoakSizes = {
    ...rest,
    gateways: Number(values.gateways ?? gateways),
    topologies: Number(values.topologies ?? topologies),
    peers: Number(values.peers ?? peers),
    leafs: Number(values.leafs ?? leafs),
  };
  const all = [seed, minutes, firstRound, sizes.gateways, sizes.topologies, sizes.peers, sizes.leafs];
  if (!all.every((number) => Number.isFinite(number) && number >= 0)) {
    refuse('--seed, --minutes, --gateways, --topologies, --peers, --leafs and --first-round are numbers, none below 0');
  }
  return sizes;
}

/** A summary of the world in words. */
function summary({ peers, leafs, targets, watchers, drained, memory }: SoakWorld): string[] {
  const sum = <T>(all: readonly T[], of: (one: T) => number) => all.reduce((total, one) => total + of(one), 0);
  const most = [...memory].map(([kind, bytes]) => `${kind} ${Math.round(bytes / 2 ** 20)} MiB`);
  const resumed = `${sum(watchers, (one) => one.resumed)} watches resumed, ${sum(watchers, (one) => one.listed)} lists`;
  return [
    `${sum(peers, ({ connections }) => connections)} connections`,
    `${sum(peers, ({ done }) => done)} transactions answered, ${sum(peers, ({ lost }) => lost)} lost with their routes`,
    ...(leafs.all.length === 0 ? [] : [`calls of leafs: ${leafs.counts().map(showCounts).join(', ')}`]),
    ...(targets.length === 0 ? [] : [`${sum(targets, ({ connections }) => connections)} connections with targets`]),
    ...(drained === 0 ? [] : [`${drained} connections drained`]),
    ...(watchers.length === 0 ? [] : [resumed]),
    `most memory: ${most.join(', ')}`,
  ];
}

function showCounts({ kind, leafs, answered, lost }: LeafCounts): string {
  return `${leafs} ${kind}: ${answered} answered, ${lost} lost with their routes`;
}

function print(line: string): void {
  stdout.write(`${line}\n`);
}
