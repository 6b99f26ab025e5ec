import { apiDialect } from '@spanmesh/proto/dialect';
import type { Dialect } from '@spanmesh/proto/v1/types';
import type { FilterOptions } from '../filter-options.ts';

/** The value of a request's `dialect` field for what was typed. */
export function dialectFilter(dialect: FilterOptions['dialect']): Dialect {
  return apiDialect(dialect ?? 'auto');
}
