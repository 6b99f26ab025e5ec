import type { Command } from 'commander';

/** What a command's exit code says, for manuals. */
export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'it failed; one line on standard error says why'],
  [2, 'the command line, a setting, or a file that it names makes no sense'],
];

const REASONS = new WeakMap<Command, string>();

/** Declares what exit code 1 says of this command besides that it could not do its work; its help says it, too. */
export function exitsWith1(command: Command, when: string): Command {
  REASONS.set(command, when);
  return command.addHelpText('after', `\nExit code 1: ${when}.`);
}

/** The same as declared; null: only that it could not do its work. */
export function whenExitsWith1(command: Command): string | null {
  return REASONS.get(command) ?? null;
}
