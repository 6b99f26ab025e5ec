import { parseHostPort } from '@spanmesh/runtime/address';
import { START_COMMAND } from '@spanmesh/runtime/process/commands';
import { EXIT_FAILED, Failure } from '../failure.ts';
import { note, type Terminal } from '../terminal.ts';
import { count } from '../views/words.ts';
import { loadText, Sim, type SimOptions } from './sim.ts';
import type { SimKeys } from './sim-keys.ts';

/** Ports that peers connect to: the protocol's own, and spanmesh's default. */
const USUAL_PORTS: readonly number[] = [987, 9987];

/** The options as typed. */
export interface SimCommandOptions
  extends Pick<SimOptions, 'peers' | 'dialect' | 'spans' | 'clusters' | 'seed' | 'load'> {
  /** `host:port` */
  readonly connect: string;
  /** Mean time that a span stays open, milliseconds; 0: for ever. */
  readonly churn: number;
  /** Milliseconds; 0: until a signal comes. */
  readonly duration: number;
  /** Directory of the keys; undefined: plaintext. */
  readonly keys?: string;
}

/**
 * Runs a simulation until its time is over or SIGINT or SIGTERM comes; a second signal ends the process at once.
 * @throws Failure unreachable: no peer has ever been connected; refused: the keys cannot be read.
 */
export async function runSim(options: SimCommandOptions, terminal: Terminal): Promise<void> {
  const { connect, churn, duration, keys: directory, ...cast } = options;
  const keys = directory === undefined ? null : await simKeys(directory);
  const sim = new Sim(
    { ...cast, connect: parseHostPort(connect), churnMs: churn },
    {
      keys,
      onSummary: (line) => terminal.out.write(`${line}\n`),
      onNote: (line) => note(terminal, line),
    },
  );
  sim.start();
  await timeOrSignal(duration);
  const { up, spansOpened, relaysSeen, load } = await sim.stop();
  terminal.out.write(
    `done: ${up} of ${count(options.peers, 'peer')} were up, ${count(spansOpened, 'span')} offered and ` +
      `${count(relaysSeen, 'relay')} seen in all${loadText(load)}\n`,
  );
  if (!sim.hasBeenUp) throw new Failure('unreachable', nobodyAt(connect));
}

/** A sentence for an address at which no peer could connect. An unusual port may not be the one for peers. */
function nobodyAt(connect: string): string {
  const isUsual = USUAL_PORTS.includes(parseHostPort(connect).port);
  const port = isUsual ? '' : ' is it the port for DMSG peers, 9987 unless set otherwise?';
  return `no peer has come up at ${connect}:${port} is spanmesh running? try \`${START_COMMAND}\``;
}

/** Loads the modules for encryption, which only this option needs, and reads the keys. */
async function simKeys(directory: string): Promise<SimKeys> {
  const [{ readFiles }, { SimKeys }] = await Promise.all([import('../keys/check.ts'), import('./sim-keys.ts')]);
  const { rules } = await readFiles(directory);
  return new SimKeys(rules);
}

/** Resolves after `ms` (0: never) or at the first signal; from then on a signal ends the process. */
function timeOrSignal(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = ms > 0 ? setTimeout(() => done(), ms) : null;
    const done = (): void => {
      if (timer !== null) clearTimeout(timer);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.off(signal, done);
        process.once(signal, () => process.exit(EXIT_FAILED));
      }
      resolve();
    };
    process.on('SIGINT', done);
    process.on('SIGTERM', done);
  });
}
