import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ApiAccess } from '../api-access.ts';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';

/**
 * A named address, with the files that give access to it. A context holds the path of a token's file, never the token.
 */
export interface Context extends Omit<ApiAccess, 'token'> {
  /** `host:port` */
  readonly address: string;
}

/** The content of the file of contexts. */
export interface Contexts {
  /** Name of the context in use; null: none. */
  readonly current: string | null;
  readonly contexts: Readonly<Record<string, Context>>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const FIELDS = ['address', 'ca', 'cert', 'key', 'tokenFile'] as const;

type Env = Readonly<Record<string, string | undefined>>;

/** The file of contexts, by the XDG base directory specification; null: this user has no home directory. */
export function contextsFile({ XDG_CONFIG_HOME: config, HOME: home }: Env): string | null {
  if (config?.startsWith('/')) return join(config, 'spanmesh', 'contexts.json');
  return home === undefined || home === '' ? null : join(home, '.config', 'spanmesh', 'contexts.json');
}

/**
 * The user's contexts.
 * @throws Failure usage: the file cannot be read.
 */
export function readContexts(env: Env): Contexts {
  const file = contextsFile(env);
  if (file === null) return { current: null, contexts: {} };
  try {
    return parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: null, contexts: {} };
    throw new Failure('usage', `cannot read ${file}: ${fileTrouble(error)}`, { cause: error });
  }
}

/**
 * Writes the contexts, whole or not at all, readable for their owner only.
 * @throws Failure usage: they cannot be written.
 */
export function writeContexts(env: Env, contexts: Contexts): void {
  const file = contextsFile(env);
  if (file === null) throw new Failure('usage', 'there is no place for contexts: set HOME or XDG_CONFIG_HOME');
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const fresh = `${file}.${process.pid}`;
    writeFileSync(fresh, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
    // A temporary file left by an earlier fault may have another mode.
    chmodSync(fresh, 0o600);
    renameSync(fresh, file);
  } catch (error) {
    throw new Failure('usage', `cannot write ${file}: ${fileTrouble(error)}`, { cause: error });
  }
}

/**
 * The context with this name, or the one in use; null: none is in use.
 * @throws Failure usage: there is none with this name.
 */
export function contextOf(env: Env, name: string | undefined): Context | null {
  const { current, contexts } = readContexts(env);
  const wanted = name ?? current;
  if (wanted === null) return null;
  const found = Object.hasOwn(contexts, wanted) ? contexts[wanted] : undefined;
  if (found !== undefined) return found;
  throw new Failure('usage', `there is no context ${wanted}: \`spanmesh context list\` shows those that are there`);
}

/** @throws Failure usage */
export function checkName(name: string): void {
  if (!NAME.test(name)) throw new Failure('usage', 'a context is named by letters, digits, dots, - and _, 63 at most');
}

/** @throws TypeError: the value is not the content of a file of contexts. */
function parse(value: unknown): Contexts {
  if (!isRecord(value) || !isRecord(value.contexts)) throw new TypeError('not a file of contexts');
  const contexts = Object.entries(value.contexts).map(([name, one]) => [name, contextIn(one)] as const);
  return { current: typeof value.current === 'string' ? value.current : null, contexts: Object.fromEntries(contexts) };
}

function contextIn(value: unknown): Context {
  if (!isRecord(value) || typeof value.address !== 'string') throw new TypeError('a context without an address');
  const given = FIELDS.filter((field) => typeof value[field] === 'string').map((field) => [field, value[field]]);
  return Object.fromEntries(given) as Context;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
