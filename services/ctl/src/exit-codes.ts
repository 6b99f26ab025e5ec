import type { Command } from 'commander';

/** The meanings of exit codes, for manuals. */
export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'it failed; one line on standard error says why'],
  [2, 'the command line, a setting, or a file that it names makes no sense'],
];

const REASONS = new WeakMap<Command, string>();

/** Declares when this command exits with 1, besides when it has failed; the command's help says it, too. */
export function exitsWith1(command: Command, when: string): Command {
  REASONS.set(command, when);
  return command.addHelpText('after', `\nExit code 1: ${when}.`);
}

/** When the command exits with 1, as declared by exitsWith1; null: only when it has failed. */
export function whenExitsWith1(command: Command): string | null {
  return REASONS.get(command) ?? null;
}
