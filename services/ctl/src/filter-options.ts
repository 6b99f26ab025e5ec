import { DIALECT_NAMES, type DialectName } from '@spanmesh/proto/dialect';
import { type Command, Option } from 'commander';
import { labelArgument } from './output/label.ts';

/** Filters as typed; a missing one does not filter. */
export interface FilterOptions {
  readonly dialect?: DialectName;
  readonly cluster?: string;
  readonly node?: string;
  readonly connection?: string;
  readonly gateway?: string;
  readonly link?: string;
}

const FLAGS: Readonly<Record<keyof FilterOptions, () => Option>> = {
  dialect: () => new Option('--dialect <dialect>', 'only this dialect').choices(DIALECT_NAMES),
  cluster: () => new Option('--cluster <id|label>', 'only clusters with this id or label').argParser(labelArgument),
  node: () => new Option('--node <id|label>', 'only nodes with this id or label').argParser(labelArgument),
  connection: () =>
    new Option(
      '--connection <id|label>',
      'only what is on this connection: its id, its number, or the label of a LNK_CONN on it',
    ).argParser(labelArgument),
  gateway: () => new Option('--gateway <name|id>', 'only connections of this gateway'),
  link: () => new Option('--link <id>', 'only relays of this link'),
};

/** Declares filters on a command. */
export function addFilters(command: Command, ...names: (keyof FilterOptions)[]): Command {
  for (const name of names) command.addOption(FLAGS[name]());
  return command;
}
