import { allCommands, type CommandInfo, type OptionInfo } from './command-tree.ts';

/** Which values an option takes. */
export type ValueKind = { readonly choices: readonly string[] } | 'file' | 'any';

/** The facts about a command that the scripts of all shells use. */
export interface CommandWords {
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly {
    readonly name: string;
    readonly description: string;
    readonly value: ValueKind | null;
  }[];
  /** Whether its argument is a file. */
  readonly takesFile: boolean;
}

const FILE = /^(file|directory)|[|@]file|^\/|directory/;

export function commandWords(tree: CommandInfo): CommandWords[] {
  return [...allCommands(tree)].map(({ path, commands, options, arguments: args }) => ({
    path,
    commands: commands.map(({ name, description }) => ({ name, description: firstSentence(description) })),
    options: options.flatMap((option) =>
      option.names.map((name) => ({
        name,
        description: firstSentence(option.description),
        value: kindOfValue(option),
      })),
    ),
    takesFile: args.some(({ usage }) => FILE.test(usage.slice(1))),
  }));
}

function kindOfValue({ value, choices }: OptionInfo): ValueKind | null {
  if (value === null) return null;
  if (choices.length > 0) return { choices };
  return FILE.test(value) ? 'file' : 'any';
}

/** The first sentence of a description, for menus. */
function firstSentence(text: string): string {
  return (/^.*?(?=[.;:] |\n|$)/.exec(text)?.[0] ?? '').replace(/ \(.*$/, '');
}
