import { Dialect } from '../gen/spanmesh/v1/types.ts';

/** The dialects of DMSG, as `@spanmesh/dmsg` and `@spanmesh/spantree` call them. */
type DialectName = 'linkid' | 'circuit';

/** A dialect as the APIs number it; `auto`: unspecified. */
export function apiDialect(dialect: DialectName | 'auto'): Dialect {
  if (dialect === 'auto') return Dialect.DIALECT_UNSPECIFIED;
  return dialect === 'linkid' ? Dialect.DIALECT_LINKID : Dialect.DIALECT_CIRCUIT;
}

/** The other way; null for anything but the two. */
export function dialectOf(dialect: Dialect): DialectName | null {
  if (dialect === Dialect.DIALECT_LINKID) return 'linkid';
  return dialect === Dialect.DIALECT_CIRCUIT ? 'circuit' : null;
}
