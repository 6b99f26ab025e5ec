import { type UnknownSetting, unknownSettings } from './unknown-settings.ts';

/** One setting of a service, declared in its settings.ts. Parsers: setting-types.ts. */
export interface Setting<T> {
  /** `SPANMESH_…` */
  readonly env: string;
  /** `--dmsg-listen` */
  readonly flag: string;
  /** Text that `parse` accepts. */
  readonly default: string;
  /** One sentence for the help text. */
  readonly describe: string;
  /** Throws an Error whose message says what a good value looks like. */
  readonly parse: (text: string) => T;
  /** The value is never shown, not even in an error about it. */
  readonly secret?: boolean;
}

/** What readSettings returns for a set of declarations. */
export type SettingValues<S extends Record<string, Setting<unknown>>> = { [K in keyof S]: ReturnType<S[K]['parse']> };

/** Where values come from. `flags` is keyed by the flag as declared, dashes included. */
export interface SettingSources {
  readonly env: Record<string, string | undefined>;
  readonly flags: Record<string, string | undefined>;
}

/** Which source has given the value of a setting. */
export type SettingSource = 'flag' | 'environment' | 'default';

/** A setting as it was read. */
export interface ReadSetting {
  /** `SPANMESH_…` */
  readonly env: string;
  /** The text that was parsed. */
  readonly text: string;
  readonly source: SettingSource;
  readonly secret: boolean;
}

/** Where readSettings read its values from: to show which settings are in force, and why. */
const readFrom = new WeakMap<
  object,
  { readonly read: readonly ReadSetting[]; readonly unknown: readonly UnknownSetting[] }
>();

/** How the values that readSettings has returned were written, sorted by name; an empty list for any other object. */
export function settingsRead(values: object): readonly ReadSetting[] {
  return readFrom.get(values)?.read ?? [];
}

/** Variables of the environment that look like settings and are none, in order of names. */
export function unknownRead(values: object): readonly UnknownSetting[] {
  return readFrom.get(values)?.unknown ?? [];
}

/** A value longer than this is shown shortened in errors, so that they stay one readable line. */
const MAX_SHOWN = 80;

/**
 * A setting that cannot be used: unreadable, out of range, or refused by the system (a taken port).
 * Its message is one line that names the setting; a main prints it and exits with 2.
 */
export class SettingError extends Error {
  override readonly name = 'SettingError';
  /** As the operator wrote it: `SPANMESH_…` or `--…`. */
  readonly setting: string;

  constructor(setting: string, problem: string, options?: { cause?: unknown }) {
    super(`${setting}: ${problem.replace(/\s+/g, ' ')}`, options);
    this.setting = setting;
  }
}

/** Declares a setting. The names are checked, so that a typing error in them shows at once. */
export function setting<T>(spec: Setting<T>): Setting<T> {
  if (!/^SPANMESH_[A-Z0-9_]+$/.test(spec.env) || !/^--[a-z0-9][a-z0-9-]*$/.test(spec.flag)) {
    throw new TypeError(`bad setting name: ${spec.env} ${spec.flag}`);
  }
  return spec;
}

/**
 * Reads every setting: the flag wins over the environment, the environment over the default.
 * Throws SettingError for the first that cannot be read.
 */
export function readSettings<S extends Record<string, Setting<unknown>>>(
  specs: S,
  from: SettingSources,
): SettingValues<S> {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(specs)) {
    values[key] = readOne(spec, from);
  }
  const read = Object.values(specs).map((spec) => written(spec, from));
  readFrom.set(values, {
    read: read.sort((a, b) => (a.env < b.env ? -1 : 1)),
    unknown: unknownSettings(from.env, new Set(read.map(({ env }) => env))),
  });
  return values as SettingValues<S>;
}

function written(
  { env: name, flag, default: value, secret = false }: Setting<unknown>,
  from: SettingSources,
): ReadSetting {
  const [given, inherited] = [from.flags[flag], from.env[name]];
  if (given !== undefined) return { env: name, text: given, source: 'flag', secret };
  if (inherited !== undefined) return { env: name, text: inherited, source: 'environment', secret };
  return { env: name, text: value, source: 'default', secret };
}

function readOne(spec: Setting<unknown>, { env, flags }: SettingSources): unknown {
  const flag = flags[spec.flag];
  const name = flag === undefined ? spec.env : spec.flag;
  const text = flag ?? env[spec.env] ?? spec.default;
  try {
    return spec.parse(text);
  } catch (error) {
    const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
    const problem = error instanceof Error ? error.message : String(error);
    throw new SettingError(name, spec.secret === true ? problem : `'${shown}': ${problem}`, { cause: error });
  }
}
