import type { Dialect } from '@spanmesh/dmsg/dialect';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';

/** A dialect as the APIs number it. */
export function apiDialect(dialect: Dialect): ApiDialect {
  return dialect === 'linkid' ? ApiDialect.DIALECT_LINKID : ApiDialect.DIALECT_CIRCUIT;
}

/** The other way; null for anything but the two. */
export function dialectOf(dialect: ApiDialect): Dialect | null {
  if (dialect === ApiDialect.DIALECT_LINKID) return 'linkid';
  return dialect === ApiDialect.DIALECT_CIRCUIT ? 'circuit' : null;
}
