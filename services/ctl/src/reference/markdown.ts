import { API_GROUP } from '../api-access.ts';
import { OUTPUT_GROUP } from '../api-options.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { allCommands, type CommandInfo, type OptionInfo } from './command-tree.ts';

/** Options that many commands have: described once, under a heading of their own. */
interface SharedOptions {
  /** Anchor of their heading. */
  readonly anchor: string;
  readonly called: string;
  readonly options: readonly OptionInfo[];
}

/** A place in a page: the names in its first mark, and the section that it is in. */
interface Place {
  readonly names: readonly string[];
  readonly section: string;
}

const OVERVIEW = 'all commands';
const API_OPTIONS = 'options of the API';
const LIST_OPTIONS = 'options of lists';
const EXITS = 'exit codes';
const PLACE = /^(## .+)$|^<!-- from the code: (.+) -->\n(?:[\s\S]*?\n)??<!-- end -->$/gm;

/**
 * A page of Markdown with its places filled anew: `<!-- from the code: ping -->` … `<!-- end -->`, with one or more
 * names of commands, as typed, or of what all commands have in common. The name of a command that is only a group means
 * those below it.
 * @throws Error: a command has no place or two, or a place names none.
 */
export function fillPage(page: string, tree: CommandInfo): string {
  const commands = new Map(
    [...allCommands(tree)]
      .filter((command) => command !== tree)
      .map((command) => [command.path.slice(tree.name.length + 1), command]),
  );
  const places = placesIn(page);
  const sections = sectionsOf(places, commands);
  const shared = sharedOptions(tree, commands);
  const write = (name: string): string => {
    if (name === OVERVIEW) return overview(tree, sections);
    if (name === API_OPTIONS || name === LIST_OPTIONS) {
      return table(shared.find(({ called }) => called === name)?.options.map(optionRow) ?? []);
    }
    if (name === EXITS) return table(EXIT_CODES.map(([code, meaning]) => [String(code), meaning]));
    return calledIn(name, commands)
      .map((command) => commandText(command, shared))
      .join('\n\n');
  };
  return page.replaceAll(PLACE, (text: string, _heading: unknown, names: string | undefined) =>
    names === undefined
      ? text
      : `<!-- from the code: ${names} -->\n${names.split(', ').map(write).join('\n\n')}\n<!-- end -->`,
  );
}

function placesIn(page: string): Place[] {
  const places: Place[] = [];
  let section = '';
  for (const [, heading, names] of page.matchAll(PLACE)) {
    if (heading !== undefined) section = heading.slice('## '.length);
    else if (names !== undefined) places.push({ names: names.split(', '), section });
  }
  return places;
}

/** The section in which each command is described. @throws Error, as fillPage */
function sectionsOf(places: readonly Place[], commands: ReadonlyMap<string, CommandInfo>): Map<CommandInfo, string> {
  const sections = new Map<CommandInfo, string>();
  for (const { names, section } of places) {
    for (const name of names) {
      if ([OVERVIEW, API_OPTIONS, LIST_OPTIONS, EXITS].includes(name)) continue;
      for (const command of calledIn(name, commands)) {
        if (sections.has(command)) throw new Error(`'${command.path}' has more than one place`);
        sections.set(command, section);
      }
    }
  }
  const missing = [...commands.values()].filter((command) => isCalled(command) && !sections.has(command));
  if (missing.length > 0) throw new Error(`there is no place for ${missing.map(({ path }) => path).join(', ')}`);
  return sections;
}

/** The command with this name, or its subcommands if it is only a group. */
function calledIn(name: string, commands: ReadonlyMap<string, CommandInfo>): CommandInfo[] {
  const command = commands.get(name);
  if (command === undefined) throw new Error(`there is no command '${name}'`);
  return isCalled(command) ? [command] : [...allCommands(command)].filter(isCalled);
}

function isCalled({ commands, options, arguments: args }: CommandInfo): boolean {
  return commands.length === 0 || args.length > 0 || options.some((option) => !isHelp(option));
}

function isHelp({ names }: OptionInfo): boolean {
  return names.includes('--help');
}

function sharedOptions(tree: CommandInfo, commands: ReadonlyMap<string, CommandInfo>): SharedOptions[] {
  const grouped = (command: CommandInfo | undefined, of: string) =>
    command?.options.filter(({ group }) => group === of) ?? [];
  return [
    {
      called: LIST_OPTIONS,
      anchor: 'what-all-lists-have-in-common',
      options: grouped(commands.get('clusters'), OUTPUT_GROUP),
    },
    { called: API_OPTIONS, anchor: 'what-all-commands-have-in-common', options: grouped(tree, API_GROUP) },
  ];
}

function overview({ commands }: CommandInfo, sections: ReadonlyMap<CommandInfo, string>): string {
  return table(
    commands.map((command) => {
      const section = [...allCommands(command)].map((one) => sections.get(one)).find((found) => found !== undefined);
      return [`[\`${command.name}\`](#${anchorOf(section ?? '')})`, escaped(command.description)];
    }),
  );
}

/** The anchor that GitHub makes for a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function commandText(command: CommandInfo, shared: readonly SharedOptions[]): string {
  const { path, description, arguments: args, options, exitsWith1 } = command;
  const used = shared.filter((some) => some.options.every((option) => options.some((own) => isSame(own, option))));
  const own = options.filter(
    (option) => !isHelp(option) && !used.some((some) => some.options.some((one) => isSame(one, option))),
  );
  const usage = [
    path,
    ...(own.length > 0 || used.length > 0 ? ['[options]'] : []),
    ...args.map((argument) => argument.usage),
  ];
  const rows = [
    ...args.filter(({ text }) => text !== '').map(({ usage: name, text }) => [code(name), escaped(text)]),
    ...own.map(optionRow),
  ];
  const others = used.map(({ called, anchor }) => `[${called}](#${anchor})`).join(' and ');
  return [
    `**\`${usage.join(' ')}\`** — ${escaped(description)}`,
    ...(rows.length > 0 ? [table(rows)] : []),
    ...(others === '' ? [] : [`${rows.length > 0 ? 'And the' : 'It has the'} ${others}.`]),
    ...(exitsWith1 === null ? [] : [`Exit code 1: ${escaped(exitsWith1)}.`]),
  ].join('\n\n');
}

function isSame(a: OptionInfo, b: OptionInfo): boolean {
  return a.flags === b.flags && a.text === b.text;
}

function optionRow({ flags, text }: OptionInfo): string[] {
  return [code(flags), escaped(text)];
}

function table(rows: readonly (readonly string[])[]): string {
  return ['| | |', '| --- | --- |', ...rows.map((cells) => `| ${cells.join(' | ')} |`)].join('\n');
}

/** Code in a table: a bar would end the cell, even within code. */
function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

/** Escapes what Markdown would interpret outside code; an underscore within a word is harmless. */
function escaped(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 === 1 ? part : part.replaceAll(/[\\*<[]/g, '\\$&')))
    .join('')
    .replaceAll('|', '\\|');
}
