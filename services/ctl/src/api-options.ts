import { formatHostPort, parseHostPort } from '@spanmesh/runtime/address';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { API_GROUP, type ApiAccess, addAccessOptions, readAccess } from './api-access.ts';
import { contextOf } from './context/contexts.ts';
import type { Terminal } from './terminal.ts';

/** Where a standalone spanmesh serves its API unless told otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:7987';
/** Longest wait for one answer, in milliseconds: long past a fail-over of the topology service (4 to 5 s). */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** How answers are printed; `wide`: as text with more columns. */
export type OutputFormat = 'text' | 'wide' | 'json' | 'yaml';

/** The options of every command that calls the API. */
export interface ApiOptions {
  /** `host:port` of the API. */
  readonly address: string;
  /** Longest wait for one answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly output: OutputFormat;
  /** Undefined: no TLS, no token and no certificate. */
  readonly access?: ApiAccess | undefined;
}

interface RawOptions extends ApiAccess {
  readonly address?: string;
  readonly context?: string;
  readonly timeout?: number;
  readonly output?: OutputFormat;
}

/**
 * Declares --address, --timeout and the options of access. The program and each command declare them, so that they may
 * stand before or after the command's name.
 */
export function addAddressOptions(command: Command): Command {
  const options = [
    new Option(
      '--address <host:port>',
      `where the API is (env: SPANMESH_ADDRESS, default: ${DEFAULT_ADDRESS})`,
    ).argParser(parseAddress),
    new Option(
      '--context <name>',
      'a named address (`spanmesh context list`, env: SPANMESH_CONTEXT, default: the one in use)',
    ),
    new Option('--timeout <time>', 'longest wait for an answer: 10s, 500ms, or seconds (default: 10s)').argParser(
      parseTime,
    ),
  ];
  for (const option of options) command.addOption(option.helpGroup(API_GROUP));
  return addAccessOptions(command);
}

/** Declares all of ApiOptions on a command. `formats`: the output formats that the command has. */
export function addApiOptions(command: Command, formats: readonly OutputFormat[] = ['text', 'json', 'yaml']): Command {
  return addOutputOption(addAddressOptions(command), formats);
}

/** Heading of the output's options in the help of a command. */
export const OUTPUT_GROUP = 'The output:';

/** Declares -o alone. */
export function addOutputOption(command: Command, formats: readonly OutputFormat[]): Command {
  const wide = formats.includes('wide') ? '; wide: text with more columns' : '';
  const option = new Option('-o, --output <format>', `how to print it${wide}`).choices(formats).default('text');
  return command.addOption(option.helpGroup(OUTPUT_GROUP));
}

/**
 * Reads the options: the command's own, else the program's, else the environment's, else those of the context, else the
 * default. The files of a context belong to its address: an address given otherwise does not receive the context's
 * token.
 * @throws Failure usage: there is no such context.
 */
export function readApiOptions(command: Command, terminal: Terminal): ApiOptions {
  const own = command.opts<RawOptions>();
  const shared: RawOptions = programOf(command).opts();
  const { env } = terminal;
  const address = own.address ?? shared.address ?? addressFromEnv(command, terminal);
  const named = own.context ?? shared.context ?? (env.SPANMESH_CONTEXT || undefined);
  const context = address === undefined ? contextOf(env, named) : null;
  return {
    address: address ?? context?.address ?? DEFAULT_ADDRESS,
    timeoutMs: own.timeout ?? shared.timeout ?? DEFAULT_TIMEOUT_MS,
    output: own.output ?? 'text',
    access: readAccess(own, shared, { env, context }),
  };
}

/** The program that a command is part of, also for a command of a command. */
function programOf(command: Command): Command {
  let program = command;
  while (program.parent !== null) program = program.parent;
  return program;
}

function addressFromEnv(command: Command, terminal: Terminal): string | undefined {
  const text = terminal.env.SPANMESH_ADDRESS;
  if (text === undefined || text === '') return undefined;
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return command.error(`error: SPANMESH_ADDRESS '${text}' is invalid. ${error.message}`);
  }
}

/** `host:port` or `[v6]:port`. The host may be a name: gRPC resolves it. */
export function parseAddress(text: string): string {
  const [scheme] = /^\w+:\/\//.exec(text) ?? [];
  if (scheme !== undefined) throw new InvalidArgumentError(`Expected it without ${scheme}, like 127.0.0.1:7987.`);
  try {
    return formatHostPort(parseHostPort(text));
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message} (expected something like 127.0.0.1:7987)`);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, '': 1000 };
/** Longest time that a timer of Node can be set to, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** A time in milliseconds: a number with ms, s, m or h; without a unit it is seconds. */
export function parseTime(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text);
  const ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(ms > 0 && ms <= LONGEST_MS)) throw new InvalidArgumentError('Expected a time like 10s, 500ms, 15m or 2h.');
  return ms;
}

/** A time, or 0 for none. */
export function parseTimeOrZero(text: string): number {
  return text === '0' ? 0 : parseTime(text);
}

/** A parser of whole numbers within bounds. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
    return value;
  };
}
