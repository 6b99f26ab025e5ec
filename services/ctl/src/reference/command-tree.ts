import type { Command, Option } from 'commander';
import { whenExitsWith1 } from '../exit-codes.ts';
import { argumentText, optionText } from './parameter-text.ts';

/** An option, as typed. */
export interface OptionInfo {
  /** `-o, --output <format>` */
  readonly flags: string;
  /** The option's names without its value: `-o` and `--output`, or the one that it has. */
  readonly names: readonly string[];
  /** Name of its value, without brackets; null: it takes no value. */
  readonly value: string | null;
  /** Values that it takes; empty: no fixed list. */
  readonly choices: readonly string[];
  readonly description: string;
  /** The description, with its choices and its default. */
  readonly text: string;
  /** Its heading in the help of the command; null: none. */
  readonly group: string | null;
}

export interface ArgumentInfo {
  /** Name with its brackets: `<node>`, `[command…]`. */
  readonly usage: string;
  readonly description: string;
  /** The description, with its choices and its default. */
  readonly text: string;
}

/** A command with its subcommands, from which completions, man pages and the reference are made. */
export interface CommandInfo {
  /** `spanmesh volconf list` */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly ArgumentInfo[];
  readonly options: readonly OptionInfo[];
  readonly commands: readonly CommandInfo[];
  /** When exit code 1 is given besides when the command fails; null: never. */
  readonly exitsWith1: string | null;
}

/**
 * The tree of a program's commands. `services`: by path, full commands that replace those which only load a service
 * (`run SERVICE`).
 */
export function commandTree(program: Command, services: ReadonlyMap<string, Command> = new Map()): CommandInfo {
  return infoOf(program, program.name(), services);
}

/** The command itself and all commands below it. */
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
