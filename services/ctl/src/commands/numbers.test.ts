import { Command, InvalidArgumentError } from 'commander';
import { expect, it } from 'vitest';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { addCapture } from './capture.ts';
import { addCerts } from './certs.ts';
import { addPing } from './ping.ts';
import { addSim } from './sim.ts';

/** The value of an option of a command (such as `certs init`) for a text that is typed. */
function meaning(path: string, option: string, text: string): unknown {
  let command: Command | undefined = new Command();
  for (const add of [addCapture, addCerts, addPing, addSim]) add(command, new RecordingTerminal());
  for (const name of path.split(' ')) command = command?.commands.find((one) => one.name() === name);
  const parse = command?.options.find(({ long }) => long === option)?.parseArg;
  if (parse === undefined) throw new Error(`${path} ${option} is no option`);
  return parse(text, undefined);
}

// Limits: capture.ts MAX_COUNT, certs.ts MAX_DAYS, ping.ts MAX_COUNT, commands/sim.ts MAX_PEERS, commands/sim.ts MAX_LOAD
it.each([
  ['capture', '--count', '4294967295', '4294967296'],
  ['capture', '--snaplen', '4294967295', '4294967296'],
  ['certs init', '--days', '825', '826'],
  ['ping', '--count', '1000000', '1000001'],
  ['sim', '--peers', '20000', '20001'],
  ['sim', '--spans', '10000', '10001'],
  ['sim', '--load', '100000', '100000.001'],
])('%s %s takes up to %s, not %s', (path, option, largest, larger) => {
  expect(meaning(path, option, largest)).toBe(Number(largest));
  expect(() => meaning(path, option, larger)).toThrow(InvalidArgumentError);
});
