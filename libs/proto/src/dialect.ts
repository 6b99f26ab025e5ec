// By the package's name, so that the console gets its own build of it.
import { Dialect } from '@spanmesh/proto/v1/types';

interface DialectOfApi {
  /** How the APIs number it. */
  readonly number: Dialect;
  /** Keys of clusters and nodes have a peer type and labels; otherwise the uuid alone is the key (types.proto). */
  readonly hasLabels: boolean;
}

const DIALECTS = {
  linkid: { number: Dialect.DIALECT_LINKID, hasLabels: false },
  circuit: { number: Dialect.DIALECT_CIRCUIT, hasLabels: true },
} as const satisfies Record<string, DialectOfApi>;

/** The dialects of DMSG, as `@spanmesh/dmsg` and `@spanmesh/spantree` call them, and people. */
export type DialectName = keyof typeof DIALECTS;

/** All of them, as people write them. */
export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly DialectName[];

/** The names of all dialects for a sentence: LINKID or CIRCUIT. */
export const DIALECT_WORDS: string = DIALECT_NAMES.map((name) => name.toUpperCase()).join(' or ');
/** What is wrong with a request that names no dialect. */
export const NO_SUCH_DIALECT: string = `There is no such dialect: leave it unspecified, or give ${DIALECT_WORDS}.`;

/** The APIs' number of a dialect; `auto`: unspecified. */
export function apiDialect(dialect: DialectName | 'auto'): Dialect {
  return dialect === 'auto' ? Dialect.DIALECT_UNSPECIFIED : DIALECTS[dialect].number;
}

/** The dialect of the APIs' number; null: unspecified, or of a newer version. */
export function dialectOf(dialect: number | undefined): DialectName | null {
  return DIALECT_NAMES.find((name) => DIALECTS[name].number === dialect) ?? null;
}

/** Whether keys of this dialect have a peer type and labels (types.proto). */
export function hasLabels(dialect: number | undefined): boolean {
  const name = dialectOf(dialect);
  return name !== null && DIALECTS[name].hasLabels;
}
