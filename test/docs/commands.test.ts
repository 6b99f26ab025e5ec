import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OwnNetwork } from '../peer/own-network.ts';
import { commandsOf, type DocCommand, documents } from './commands.ts';

const root = join(import.meta.dirname, '../..');
const ci = readFileSync(join(root, '.ci/run'), 'utf8');

/** Commands that run until they are stopped, and the output that shows that they work. */
const RUNS_ON: readonly (readonly [RegExp, RegExp])[] = [
  [/^npm start$/, /standalone serves/],
  [/^\S+(?: |\/)spanmesh run (?!.*--help)/, /listening|leads|standalone serves/],
  [/^\S+(?: |\/)spanmesh sim (?!.*--duration)/, /peers up/],
  [/^nats-server /, /Server is ready/],
];
/**
 * A command that has not ended, or not shown that it works, after this time is faulty; generous, for slow machines.
 * Milliseconds.
 */
const PATIENCE_MS = 60_000;

const running: ChildProcess[] = [];
// A network namespace, because the commands listen on the default ports.
let network: OwnNetwork;
beforeEach(async () => {
  network = await OwnNetwork.start();
});

afterEach(async () => {
  // In reverse order: simulated peers stop before the service that they are connected to.
  for (const child of running.splice(0).reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    process.kill(-child.pid!, 'SIGTERM');
    await ended;
  }
  await network.stop();
});

describe('every command of the documentation works', () => {
  it.each(
    documents(root)
      .map((document) => ({ document, commands: commandsOf(root, document) }))
      .filter((d) => d.commands.length > 0),
  )(
    '$document',
    async ({ commands }) => {
      for (const command of quick(commands)) await run(command);
    },
    10 * PATIENCE_MS,
  );
});

async function run({ where, command: written }: DocCommand): Promise<void> {
  const command = written.replace(/^npm ci && /, '');
  if (isRunByCi(command)) return;
  const runsOn = RUNS_ON.find(([pattern]) => pattern.test(command));
  // In a process group of its own, because `npm start` is several processes: npm, a launcher and the service.
  const [program = 'bash', ...rest] = [...network.through, 'bash', '-c', command];
  const child = spawn(program, rest, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let output = '';
  const outcome = await new Promise<string>((resolve) => {
    const late = setTimeout(() => resolve(`did not come to its end in ${PATIENCE_MS} ms`), PATIENCE_MS);
    const take = (chunk: Buffer) => {
      output += chunk.toString();
      if (runsOn?.[1].test(output)) done('ok');
    };
    const done = (how: string) => {
      clearTimeout(late);
      resolve(how);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('close', (code) => done(code === 0 && runsOn === undefined ? 'ok' : `ended with exit code ${code}`));
  });
  expect(outcome, `${where}: ${command}\n${output.slice(-2000)}`).toBe('ok');
}

/**
 * The first `npx spanmesh` of a document is run as it is written. What npx does is the same for all the others, and
 * takes longer than most of them: they are run by the launcher that it finds.
 */
function quick(commands: readonly DocCommand[]): DocCommand[] {
  let isFirst = true;
  return commands.map((written) => {
    const command = written.command.replaceAll(/\bnpx spanmesh\b/g, (npx) => {
      if (!isFirst) return 'node_modules/.bin/spanmesh';
      isFirst = false;
      return npx;
    });
    return { ...written, command };
  });
}

/** `.ci/run` names it: it is run there, once, and not from within the tests. */
function isRunByCi(command: string): boolean {
  if (command === 'npm ci' || command === 'npm test') return true;
  const script = /^npm run (\S+)/.exec(command)?.[1];
  return script !== undefined && new RegExp(`npm run (--silent )?${script}(\\s|"|$)`, 'm').test(ci);
}
