import { VERSION } from '@spanmesh/runtime/version';
import { EXIT_CODES } from '../exit-codes.ts';
import type { ArgumentInfo, CommandInfo, OptionInfo } from './command-tree.ts';

export interface ManPage {
  /** `spanmesh-nodes.1` */
  readonly file: string;
  readonly text: string;
}

/**
 * The page of `spanmesh`, and one for each command with its subcommands, for man(1). `date`: of the release that they
 * describe, `2026-01-31`.
 */
export function manPages(tree: CommandInfo, date: string): ManPage[] {
  const pages = tree.commands.map((command) => ({
    file: `${tree.name}-${command.name}.1`,
    text: page(command, date, [
      ...sections(command, 'SH'),
      ...command.commands.flatMap((one) => [
        `.SH ${escaped(one.path.toUpperCase())}`,
        prose(one.description),
        '.PP',
        ...synopsis(one),
        ...sections(one, 'SS'),
      ]),
    ]),
  }));
  const overview = page(tree, date, [
    '.SH COMMANDS',
    ...tree.commands.flatMap(({ name, description }) => [
      '.TP',
      `.BR spanmesh\\-${escaped(name)} (1)`,
      prose(description),
    ]),
    ...sections({ ...tree, commands: [] }, 'SH'),
    ...EXIT_STATUS,
  ]);
  return [{ file: `${tree.name}.1`, text: overview }, ...pages];
}

const EXIT_STATUS = [
  '.SH EXIT STATUS',
  ...EXIT_CODES.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, escaped(meaning)]),
];

function page({ path, description, ...command }: CommandInfo, date: string, body: readonly string[]): string {
  const name = path.replaceAll(' ', '-');
  const lines = [
    `.TH ${escaped(name.toUpperCase())} 1 "${date}" "spanmesh ${VERSION}" "spanmesh"`,
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(oneLine(description))}`,
    '.SH SYNOPSIS',
    ...synopsis({ path, description, ...command }),
    '.SH DESCRIPTION',
    prose(description),
    ...body,
    ...(path === 'spanmesh' ? [] : ['.SH SEE ALSO', '.BR spanmesh (1)']),
  ];
  return `${lines.join('\n')}\n`;
}

function synopsis({ path, arguments: args, options, commands }: CommandInfo): string[] {
  const behind = [
    ...(commands.length > 0 ? ['[command]'] : []),
    ...(options.length > 0 ? ['[options]'] : []),
    ...args.map(({ usage }) => usage),
  ];
  return [`.B ${escaped(path)}`, ...(behind.length > 0 ? [escaped(behind.join(' '))] : [])];
}

function sections({ arguments: args, options, exitsWith1 }: CommandInfo, level: 'SH' | 'SS'): string[] {
  const described = args.filter(({ text }) => text !== '');
  return [
    ...(described.length > 0 ? [`.${level} ARGUMENTS`, ...described.flatMap(argumentLines)] : []),
    ...(options.length > 0 ? [`.${level} OPTIONS`, ...options.flatMap(optionLines)] : []),
    ...(exitsWith1 === null ? [] : [`.${level} EXIT STATUS`, '.TP', '.B 1', escaped(exitsWith1)]),
  ];
}

function argumentLines({ usage, text }: ArgumentInfo): string[] {
  return ['.TP', `.B ${escaped(usage)}`, prose(text)];
}

function optionLines({ flags, text }: OptionInfo): string[] {
  return ['.TP', `.B ${escaped(flags)}`, prose(text)];
}

/** Each line becomes a paragraph. */
function prose(text: string): string {
  return text
    .split(/\n+/)
    .map((line) => escaped(line.trim()))
    .join('\n.PP\n');
}

function oneLine(text: string): string {
  return text.replace(/\n[\s\S]*/, '');
}

/** Escapes characters that groff would interpret. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./, '\\&.');
}
