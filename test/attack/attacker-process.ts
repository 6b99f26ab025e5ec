/**
 * The attacker as a process of its own, so that the cost of attacking does not slow the honest peers' process.
 * Argument: JSON of the name of the attack and its Target. It gets its orders (`Order`) over IPC and answers with a
 * `Report`.
 */
import { setPriority } from 'node:os';
import process from 'node:process';
import { Attacker } from './attacker.ts';
import { ATTACKS } from './attacks.ts';
import type { Target } from './target.ts';

/** `attack`: begin a turn. `burn`: use this share of a CPU core and do nothing else. `rest`: end either. */
export type Order = { kind: 'attack' } | { kind: 'burn'; share: number } | { kind: 'rest' };

/** What the process has done since the last order. */
export interface Report {
  /** Share of a CPU core that the process has used since the order. */
  readonly share: number;
  readonly tried: number;
  readonly stopped: number;
  /** An error in the attack itself. */
  readonly fault: string | null;
}

/** Lower priority than everybody else on a machine with few cores. */
const NICENESS = 10;
/** Milliseconds of one round of burning CPU time. */
const BURN_MS = 10;

const { name, target } = JSON.parse(process.argv[2] ?? '{}') as { name: string; target: Target };
const attack = ATTACKS.find((one) => one.name === name);
if (attack === undefined) throw new Error(`no attack ${name}`);
setPriority(NICENESS);

let turn: { end(): Promise<Pick<Report, 'tried' | 'stopped' | 'fault'>> } | null = null;
let began = 0;
let usage = process.cpuUsage();

function begin(order: Order): void {
  began = performance.now();
  usage = process.cpuUsage();
  if (order.kind === 'attack') turn = attacking();
  else if (order.kind === 'burn') turn = burning(order.share);
}

function attacking() {
  const controller = new AbortController();
  const attacker = new Attacker(target, controller.signal);
  let fault: string | null = null;
  const done = attack!.run(attacker).catch((error: unknown) => {
    if (!controller.signal.aborted) fault = String(error);
  });
  return {
    async end() {
      const { tried, stopped } = attacker;
      controller.abort();
      attacker.end();
      await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 500))]);
      attacker.end();
      return { tried, stopped, fault };
    },
  };
}

function burning(share: number) {
  const timer = setInterval(() => {
    const until = performance.now() + BURN_MS * share;
    while (performance.now() < until);
  }, BURN_MS);
  return {
    end: async () => {
      clearInterval(timer);
      return { tried: 0, stopped: 0, fault: null };
    },
  };
}

// Calls that an attack abandons at the end of a turn may reject.
process.on('unhandledRejection', () => {});
process.on('uncaughtException', (error) => process.send?.({ uncaught: String(error) }));
process.on('disconnect', () => process.exit());
process.on('message', (order: Order) => {
  if (order.kind !== 'rest') {
    begin(order);
    return;
  }
  const { user, system } = process.cpuUsage(usage);
  const share = (user + system) / 1000 / (performance.now() - began);
  const ended = turn;
  turn = null;
  void ended?.end().then((what) => process.send?.({ share, ...what } satisfies Report));
});
process.send?.('ready');
