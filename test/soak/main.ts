import { writeFileSync } from 'node:fs';
import process, { argv, exit, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { planRound, showStep } from './plan.ts';
import { SoakWorld } from './world.ts';

/** How long everything may take to be whole again after a round, ms: several ages, leases and retries after each other. */
const HEAL_MS = 60_000;

/**
 * `node test/soak/main.ts [--seed N] [--minutes M] [--gateways N] [--topologies N] [--peers N] [--nats 1|3] [--first-round N]
 * [--logs FILE] [--log-level LEVEL]`: see docs/testing.md.
 * Ends with 1 at the first finding.
 */
const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '3' },
    gateways: { type: 'string', default: '4' },
    topologies: { type: 'string', default: '3' },
    peers: { type: 'string', default: '40' },
    nats: { type: 'string', default: '1' },
    'first-round': { type: 'string', default: '0' },
    logs: { type: 'string' },
    'log-level': { type: 'string', default: 'warn' },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
const minutes = Number(values.minutes);
const sizes = {
  gateways: Number(values.gateways),
  topologies: Number(values.topologies),
  peers: Number(values.peers),
  nats: values.nats === '3' ? (3 as const) : (1 as const),
};
const firstRound = Number(values['first-round']);
if (![seed, minutes, firstRound, ...Object.values(sizes)].every((number) => Number.isFinite(number) && number >= 0)) {
  throw new Error('--seed, --minutes, --gateways, --topologies, --peers and --first-round are numbers');
}

print(
  `seed ${seed}: ${Object.entries(sizes)
    .map(([what, n]) => `${n} ${what}`)
    .join(', ')}`,
);
const world = await SoakWorld.start(sizes, seed, { SPANMESH_LOG_LEVEL: values['log-level'] });
// The processes that it has started do not outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void world.stop().finally(() => exit(1)));
}
const answered = () => world.peers.reduce((all, peer) => all + peer.answered, 0);
const began = performance.now();
let round = firstRound;
let failed = false;
try {
  print(`whole for the first time after ${Math.round(await world.quiet(HEAL_MS))} ms`);
  while (performance.now() - began < minutes * 60_000) {
    const steps = planRound(seed, round, sizes);
    const shown = steps.filter(({ fault }) => fault.kind !== 'withdraw').map(showStep);
    print(`round ${round}: ${shown.join('; ')}; ${steps.length - shown.length} spans withdrawn`);
    const before = answered();
    await world.run(steps);
    if (answered() === before) throw new Error('no transaction was answered in this round');
    print(`round ${round}: whole again after ${Math.round(await world.quiet(HEAL_MS))} ms`);
    round++;
  }
} catch (error) {
  failed = true;
  print(`FOUND in round ${round} of seed ${seed}:\n${(error as Error).message}`);
  if (values.logs === undefined) print(`logs:\n${world.logs()}`);
  print(`again: npm run soak -- --seed ${seed} --first-round ${round}`);
}
if (values.logs !== undefined) writeFileSync(values.logs, world.logs());
await world.stop();
const sum = (of: (peer: (typeof world.peers)[number]) => number) =>
  world.peers.reduce((all, peer) => all + of(peer), 0);
const memory = [...world.memory].map(([kind, bytes]) => `${kind} ${Math.round(bytes / 2 ** 20)} MiB`);
print(
  [
    `seed ${seed}: ${round - firstRound} rounds in ${Math.round((performance.now() - began) / 1000)} s`,
    `${sum(({ connections }) => connections)} connections`,
    `${sum(({ done }) => done)} transactions answered, ${sum(({ lost }) => lost)} lost with their routes`,
    `most memory: ${memory.join(', ')}`,
    `findings: ${failed ? 1 : 0}`,
  ].join('; '),
);
exit(failed ? 1 : 0);

function print(line: string): void {
  stdout.write(`${line}\n`);
}
