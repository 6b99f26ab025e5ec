import { Dialect } from '@spanmesh/proto/v1/types';
import type { FilterOptions } from '../filter-options.ts';

/** The value of a request's `dialect` field for what was typed. */
export function dialectFilter(dialect: FilterOptions['dialect']): Dialect {
  if (dialect === undefined) return Dialect.DIALECT_UNSPECIFIED;
  return dialect === 'linkid' ? Dialect.DIALECT_LINKID : Dialect.DIALECT_CIRCUIT;
}
