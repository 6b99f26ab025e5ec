import { type Command, Option } from 'commander';

/** Filters as typed; absent ones do not filter. */
export interface FilterOptions {
  readonly dialect?: 'linkid' | 'circuit';
  readonly cluster?: string;
  readonly node?: string;
  readonly connection?: string;
  readonly gateway?: string;
  readonly link?: string;
}

const FLAGS: Readonly<Record<keyof FilterOptions, () => Option>> = {
  dialect: () => new Option('--dialect <dialect>', 'only this dialect').choices(['linkid', 'circuit']),
  cluster: () => new Option('--cluster <uuid>', 'only clusters with this id').argParser((text) => text.toLowerCase()),
  node: () => new Option('--node <id|label>', 'only nodes with this id or label'),
  connection: () => new Option('--connection <id>', 'only what is on this connection'),
  gateway: () => new Option('--gateway <name|id>', 'only connections of this gateway'),
  link: () => new Option('--link <id>', 'only relays of this link'),
};

/** Declares filters on a command. */
export function addFilters(command: Command, ...names: (keyof FilterOptions)[]): Command {
  for (const name of names) command.addOption(FLAGS[name]());
  return command;
}
