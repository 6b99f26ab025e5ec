import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { addAddressOptions, addApiOptions } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { addListOptions } from '../list-options.ts';
import { buildProgram } from '../program.ts';
import { commandTree } from './command-tree.ts';
import { fillPage } from './markdown.ts';
import { nowhere } from './nowhere.ts';

const place = (names: string, text = ''): string => `<!-- from the code: ${names} -->\n${text}<!-- end -->`;

/**
 * A program with `clusters`, a list; `keep add|rm`, a group; and `look`, which has every kind of argument and option.
 */
function program() {
  const made = addAddressOptions(new Command('spanmesh').helpCommand(false));
  addListOptions(made.command('clusters').description('list clusters'));
  const keep = made.command('keep').description('what is kept');
  keep.command('add').description('keep one').argument('<name>', 'how it is called');
  keep.command('rm').description('forget LNK_CONNs; * is <any>').argument('[name]');
  const look = made.command('look').description('look at a|b');
  look.argument('<node>', 'a node').argument('[words...]', 'more', 'nothing');
  look.addOption(new Option('--how <how>', 'how to look').choices(['long', 'hard']).default('hard'));
  look.addOption(new Option('--at <id|label>', 'where').makeOptionMandatory()).option('--twice', 'look again', false);
  addApiOptions(exitsWith1(look, 'there is nothing'));
  return commandTree(made);
}

const ALL = `# Page

${place('all commands')}

## The first

${place('clusters, keep')}

## look, and no more

${place('look')}`;

describe('a page', () => {
  it('has the arguments and options of each command, with links to those that many commands share', () => {
    const filled = fillPage(ALL, program());
    expect(filled).toContain(`<!-- from the code: look -->
**\`spanmesh look [options] <node> [words...]\`** — look at a\\|b

| | |
| --- | --- |
| \`<node>\` | a node |
| \`[words...]\` | more (default: nothing) |
| \`--how <how>\` | how to look (long, hard; default: hard) |
| \`--at <id\\|label>\` | where (must be given) |
| \`--twice\` | look again |
| \`-o, --output <format>\` | how to print it (text, json, yaml; default: text) |

And the [options of the API](#what-all-commands-have-in-common).

Exit code 1: there is nothing.
<!-- end -->`);
    expect(filled).toContain(`<!-- from the code: clusters, keep -->
**\`spanmesh clusters [options]\`** — list clusters

It has the [options of lists](#what-all-lists-have-in-common) and [options of the API](#what-all-commands-have-in-common).

**\`spanmesh keep add <name>\`** — keep one

| | |
| --- | --- |
| \`<name>\` | how it is called |

**\`spanmesh keep rm [name]\`** — forget LNK_CONNs; \\* is \\<any>
<!-- end -->`);
  });

  it('has all commands, with links to their sections', () => {
    expect(fillPage(ALL, program())).toContain(`| | |
| --- | --- |
| [\`clusters\`](#the-first) | list clusters |
| [\`keep\`](#the-first) | what is kept |
| [\`look\`](#look-and-no-more) | look at a\\|b |
<!-- end -->`);
  });

  it('is not changed by filling it again, whatever its places held', () => {
    const once = fillPage(ALL, program());
    expect(fillPage(once, program())).toBe(once);
    expect(fillPage(once.replace('look again', 'something else'), program())).toBe(once);
  });

  it('has the shared options, and exit codes', () => {
    const common = ['options of the API', 'options of lists', 'exit codes'].map((name) => place(name)).join('\n\n');
    const filled = fillPage(`${ALL}\n\n${common}`, program());
    expect(filled).toContain('| `--token-file <file>` |');
    expect(filled).toContain('| `--watch [time]` |');
    expect(filled).toContain('| 0 | done |');
  });

  it.each([
    [ALL.replace('clusters, ', ''), 'there is no place for spanmesh clusters'],
    [ALL.replace(', keep', ', keep add'), 'there is no place for spanmesh keep rm'],
    [ALL.replace(', keep', ', keep, keep rm'), "'spanmesh keep rm' has more than one place"],
    [ALL.replace(', keep', ', keep, lock'), "there is no command 'lock'"],
  ])('whose places do not match the commands is refused: %#', (page, why) => {
    expect(() => fillPage(page, program())).toThrow(why);
  });
});

it('of the real commands has a description of each, and of each argument and option', () => {
  const silent: string[] = [];
  const look = ({ path, description, options, arguments: args, commands }: ReturnType<typeof commandTree>) => {
    if (description === '') silent.push(path);
    for (const { flags, text } of options) if (text === '') silent.push(`${path} ${flags}`);
    for (const { usage, text } of args) if (text === '' && usage !== '[flags...]') silent.push(`${path} ${usage}`);
    for (const command of commands) look(command);
  };
  look(commandTree(buildProgram(nowhere())));
  expect(silent).toEqual([]);
});
