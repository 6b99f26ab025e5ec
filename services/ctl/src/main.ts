import { CommanderError } from 'commander';
import { EXIT_FAILED, EXIT_USAGE, Failure } from './failure.ts';
import { buildProgram } from './program.ts';
import { note, processTerminal, type Terminal } from './terminal.ts';

/**
 * Runs one command line (without the interpreter and the script) and returns its exit code: 0 done, 1 failed, 2 a wrong
 * command line. A Failure is printed as one line on standard error; only an unforeseen error is printed with its stack.
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
  // A setting of a service that cannot be used. Recognised by its name, because importing its class would load all of
  // the service's libraries.
  if (error instanceof Error && error.name === 'SettingError') {
    note(terminal, error.message);
    return EXIT_USAGE;
  }
  terminal.err.write(`spanmesh: this should not happen: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILED;
}

/** The line about a failure. Only if no API answers at the address does it ask which server does. */
async function lineOf({ message, stranger }: Failure): Promise<string> {
  if (stranger === null) return message;
  const { aboutStranger } = await import('./api/stranger.ts');
  return aboutStranger(stranger);
}
