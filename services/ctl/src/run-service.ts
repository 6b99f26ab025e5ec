import type { Setting } from '@spanmesh/runtime/settings/setting';
import { unknownSettings, unknownText } from '@spanmesh/runtime/settings/unknown-settings';
import { Command, Option } from 'commander';
import { Failure } from './failure.ts';
import { printable } from './output/printable.ts';
import { type Terminal, write } from './terminal.ts';

/** What a service's main module exports. */
export interface ServiceMain {
  readonly settings: Readonly<Record<string, Setting<unknown>>>;
  /** Runs the service. Flags are keyed as declared, dashes included; flags that were not given are missing. */
  run(flags: Record<string, string | undefined>): Promise<void>;
  /** Reads the settings and files that `run` would read before it starts, and closes them. @throws SettingError */
  check(flags: Record<string, string | undefined>): Promise<void>;
}

export interface ServiceCall {
  readonly name: string;
  readonly description: string;
  /** Loads the service's main. */
  readonly load: () => Promise<ServiceMain>;
  /** The arguments after the service's name. */
  readonly args: readonly string[];
}

/**
 * Loads a service and runs it with the flags given, which its settings declare. With --check, a variable that looks
 * like a setting and is none is an error, too; without it the service only warns of such a variable.
 * @throws Failure, SettingError: the settings cannot be used
 */
export async function runNamedService(
  { name, description, load, args }: ServiceCall,
  terminal: Terminal,
): Promise<void> {
  const service = await load();
  const command = serviceCommand(name, description, service.settings, terminal);
  command.parse(args, { from: 'user' });
  const flags = givenFlags(command, service.settings);
  if (command.opts<{ readonly check?: boolean }>().check !== true) {
    await service.run(flags);
    return;
  }
  const unknown = unknownSettings(terminal.env);
  if (unknown.length > 0) throw new Failure('usage', printable(unknown.map(unknownText).join('; ')));
  await service.check(flags);
  await write(terminal.out, `${name}: the settings can be used\n`);
}

/**
 * A command whose options are a service's settings. The help shows each one's flag, description, variable and default.
 */
export function serviceCommand(
  name: string,
  description: string,
  settings: ServiceMain['settings'],
  terminal: Terminal,
): Command {
  const command = new Command(`spanmesh run ${name}`)
    .description(`${description}\n\nA flag wins over the environment, the environment over the default.`)
    .helpOption('-h, --help', 'print this help and exit')
    .allowExcessArguments(false)
    .showHelpAfterError('(try --help)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text.replace(/^error: /, 'spanmesh: ')),
    });
  command.option('--check', 'read the settings, say what is wrong with them, and exit');
  for (const { flag, env, describe, default: value } of Object.values(settings)) {
    // Commander gets no default: for a flag that is not given, the environment decides.
    const shown = value === '' ? 'none' : value;
    command.addOption(new Option(`${flag} <value>`, `${describe} (env: ${env}, default: ${shown})`));
  }
  return command;
}

function givenFlags(command: Command, settings: ServiceMain['settings']): Record<string, string | undefined> {
  const flags: Record<string, string | undefined> = {};
  for (const { flag } of Object.values(settings)) {
    const option = command.options.find((declared) => declared.long === flag)!;
    const value: unknown = command.getOptionValue(option.attributeName());
    if (typeof value === 'string') flags[flag] = value;
  }
  return flags;
}
