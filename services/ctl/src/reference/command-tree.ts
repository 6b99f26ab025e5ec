import type { Command, Option } from 'commander';
import { whenExitsWith1 } from '../exit-codes.ts';
import { argumentText, optionText } from './parameter-text.ts';

/** An option, as typed. */
export interface OptionInfo {
  /** `-o, --output <format>` */
  readonly flags: string;
  /** `-o` and `--output`, as far as there are both. */
  readonly names: readonly string[];
  /** What its value is called, without brackets; null: it has none. */
  readonly value: string | null;
  /** Values that it takes; empty: any. */
  readonly choices: readonly string[];
  readonly description: string;
  /** The description with its values, and what holds unless it is given. */
  readonly text: string;
  /** Its heading in the help; null: none. */
  readonly group: string | null;
}

export interface ArgumentInfo {
  /** With its brackets. */
  readonly usage: string;
  readonly description: string;
  /** As of an option. */
  readonly text: string;
}

/** A command with those below it: what completions, man pages and the reference are made of. */
export interface CommandInfo {
  /** `spanmesh volconf list` */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly ArgumentInfo[];
  readonly options: readonly OptionInfo[];
  readonly commands: readonly CommandInfo[];
  /** What exit code 1 says besides that it could not do its work; null: nothing. */
  readonly exitsWith1: string | null;
}

/** `services`: by path, complete commands in place of the ones that only load what they do (`run SERVICE`). */
export function commandTree(program: Command, services: ReadonlyMap<string, Command> = new Map()): CommandInfo {
  return infoOf(program, program.name(), services);
}

/** The command itself and all below it. */
export function* allCommands(command: CommandInfo): Generator<CommandInfo> {
  yield command;
  for (const one of command.commands) yield* allCommands(one);
}

function infoOf(command: Command, path: string, services: ReadonlyMap<string, Command>): CommandInfo {
  const full = services.get(path) ?? command;
  const help = full.createHelp();
  return {
    path,
    name: path.slice(path.lastIndexOf(' ') + 1),
    description: command.description(),
    arguments: full.registeredArguments.map((argument) => {
      const inner = `${argument.name()}${argument.variadic ? '...' : ''}`;
      const usage = argument.required ? `<${inner}>` : `[${inner}]`;
      return { usage, description: argument.description, text: argumentText(argument) };
    }),
    options: help.visibleOptions(full).map(optionInfo),
    commands: help
      .visibleCommands(full)
      .filter((one) => one.name() !== 'help')
      .map((one) => infoOf(one, `${path} ${one.name()}`, services)),
    exitsWith1: whenExitsWith1(command),
  };
}

function optionInfo(option: Option): OptionInfo {
  const { flags, short, long, argChoices = [], description, helpGroupHeading } = option;
  return {
    flags,
    names: [short, long].filter((name) => name !== undefined && name !== null),
    value: /[<[]([^>\]]+)[>\]]$/.exec(flags)?.[1] ?? null,
    choices: argChoices,
    description,
    text: optionText(option),
    group: helpGroupHeading ?? null,
  };
}
