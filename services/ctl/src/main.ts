import { CommanderError } from 'commander';
import { EXIT_FAILED, EXIT_USAGE, Failure } from './failure.ts';
import { buildProgram } from './program.ts';
import { note, processTerminal, type Terminal } from './terminal.ts';

/**
 * Runs one command line (without the interpreter and the script) and gives its exit code: 0 done, 1 failed, 2 a command line
 * that makes no sense. Failures are one line on standard error; only what nobody foresaw comes with a stack.
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const program = buildProgram(terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return await explain(error, terminal);
  }
}

async function explain(error: unknown, terminal: Terminal): Promise<number> {
  // Commander has printed its own line already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Failure) {
    note(terminal, await lineOf(error));
    return error.exitCode;
  }
  // A setting of a service that cannot be used; by name, because its class comes with all of the service's libraries.
  if (error instanceof Error && error.name === 'SettingError') {
    note(terminal, error.message);
    return EXIT_USAGE;
  }
  terminal.err.write(`spanmesh: this should not happen: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILED;
}

/** Who listens where no API answers is asked only then. */
async function lineOf({ message, stranger }: Failure): Promise<string> {
  if (stranger === null) return message;
  const { aboutStranger } = await import('./api/stranger.ts');
  return aboutStranger(stranger);
}
