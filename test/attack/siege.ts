import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Attack } from './attack.ts';
import type { Order, Report } from './attacker-process.ts';
import type { Count, Honest } from './honest.ts';
import { addressesOf, manyAddressesOf, usersOf } from './target.ts';
import { isUnsettled, type Seen, type Turns } from './verdict.ts';
import type { AttackWorld } from './world.ts';

const PROCESS = fileURLToPath(new URL('./attacker-process.ts', import.meta.url));
/** Most turns of one attack: a single turn may show something else that the machine did at the time. */
const MOST_TURNS = 5;
/** How often memory is looked at, ms. */
const LOOK_MS = 100;
/**
 * How long the installation may take to remove what the attack has left, before the honest are measured without it, ms.
 */
const SETTLE_MS = 5_000;
/** Quiet time after that, ms. */
const REST_MS = 100;
/** How long the attacker's process may take to answer an order, ms. */
const ANSWER_MS = 5_000;

/** The environment of one attack. */
export interface Siege {
  readonly world: AttackWorld;
  readonly honest: Honest;
  /** Duration of a turn with the attack; one without takes half as long. */
  readonly seconds: number;
  /** Number of the attack (`Target`). */
  readonly number: number;
  /** Turns that are left for repetitions, for all attacks together, so that the length of a run is limited. */
  readonly spare: { turns: number };
}

/** What the turns of one attack have shown. */
export interface SiegeResult extends Seen {
  /** Mean share of a CPU core that the attacker's process used. */
  readonly share: number;
  readonly tried: number;
  readonly stopped: number;
}

/** The attacker's process for one attack. It is started early, because starting takes as long as a turn. */
export class AttackerProcess {
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;

  constructor(attack: Attack, world: AttackWorld, number: number, full: boolean) {
    const argument = JSON.stringify({ name: attack.name, target: world.target(number, full) });
    this.#child = fork(PROCESS, [argument], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#ready = once(this.#child, 'message');
  }

  async ready(): Promise<void> {
    await this.#ready;
  }

  order(order: Order): void {
    this.#child.send(order);
  }

  /** Ends the attacker's present order and returns its report. */
  async rest(): Promise<Report> {
    const answered = new Promise<Report>((resolve) => {
      const take = (message: Report | { uncaught: string }): void => {
        if (!('share' in message)) return;
        this.#child.off('message', take);
        resolve(message);
      };
      this.#child.on('message', take);
    });
    this.order({ kind: 'rest' });
    const late = pause(
      ANSWER_MS,
      { share: 0, tried: 0, stopped: 0, fault: 'the attacker does not answer' },
      { ref: false },
    );
    return Promise.race([answered, late]);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/**
 * Runs turns with an attack, each followed by one in which the attacker's process uses as much CPU time and does
 * nothing. So the time that the honest lose to the attacker's own work on a small machine is the same in both.
 */
export async function besiege(
  attacker: AttackerProcess,
  { world, honest, seconds, number, spare }: Siege,
): Promise<SiegeResult> {
  await attacker.ready();
  await settle(world);
  honest.fresh();
  honest.takeFaults();
  world.takeLines();
  const since = new Date();
  const turns: Turns[] = [];
  const faults: string[] = [];
  let memory = world.memory;
  let share = 0;
  let tried = 0;
  let stopped = 0;
  let slowest = 0;
  const look = setInterval(() => {
    memory = Math.max(memory, world.memory);
  }, LOOK_MS);
  try {
    while (
      turns.length === 0 ||
      (isUnsettled(turns) && turns.length < MOST_TURNS && !world.isDead && spare.turns > 0)
    ) {
      if (turns.length > 0) spare.turns--;
      honest.fresh();
      attacker.order({ kind: 'attack' });
      const attacked = await rates(honest, seconds);
      slowest = Math.max(slowest, honest.slowest);
      const report = await attacker.rest();
      share += report.share;
      tried += report.tried;
      stopped += report.stopped;
      if (report.fault !== null) faults.push(`the attack itself: ${report.fault}`);
      if (world.isDead) faults.push('the process has ended');
      else if (!(await settle(world))) faults.push('what he has left is still there after a while');
      attacker.order({ kind: 'burn', share: report.share });
      const alone = await rates(honest, seconds / 2);
      await attacker.rest();
      turns.push({ attacked, alone });
    }
  } finally {
    clearInterval(look);
  }
  const [events, atLimits] = world.isDead ? [[], []] : await Promise.all([honest.events(since), honest.atLimits()]);
  return {
    turns,
    slowestSpan: slowest,
    memory,
    faults: [...faults, ...honest.takeFaults()],
    lines: world.takeLines(),
    names: [
      ...Object.values(addressesOf({ number })),
      ...manyAddressesOf({ number }),
      ...Object.values(usersOf({ number })).flatMap((user) => [user, `user:${user}`]),
    ],
    events,
    atLimits,
    share: share / turns.length,
    tried,
    stopped,
  };
}

async function rates(honest: Honest, seconds: number): Promise<Count> {
  const before = honest.count;
  const began = performance.now();
  await pause(seconds * 1_000);
  const took = (performance.now() - began) / 1_000;
  const { trips, calls } = honest.count;
  return { trips: (trips - before.trips) / took, calls: (calls - before.calls) / took };
}

/**
 * Waits until there are no more connections, links and waiting bytes than those of the honest. False: after a while
 * there still are.
 */
async function settle(world: AttackWorld): Promise<boolean> {
  const giveUp = performance.now() + SETTLE_MS;
  for (;;) {
    await pause(REST_MS);
    const held = await world.metrics().catch(() => null);
    if (held === null) return false;
    const connections = held.get('spanmesh_gateway_connections') ?? 0;
    const there = (await world.metricsThere().catch(() => null))?.get('spanmesh_gateway_connections') ?? 0;
    const links = held.get('spanmesh_topology_links') ?? 0;
    const isQuiet = connections <= HONEST_CONNECTIONS && there <= HONEST_CONNECTIONS_THERE;
    if (isQuiet && links <= HONEST_LINKS) return true;
    if (performance.now() > giveUp) return false;
  }
}

/**
 * On the first gateway: two pairs and the owner of the third, who offers spans and who takes them, who has a target,
 * and the target.
 */
const HONEST_CONNECTIONS = 9;
/** Of linkid both of a pair have one, of circuit one each; one is offered for a moment. */
const HONEST_LINKS = 5;
/** On the second gateway: who asks over the trunk. */
const HONEST_CONNECTIONS_THERE = 1;
