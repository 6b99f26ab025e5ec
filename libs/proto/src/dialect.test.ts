import { expect, it } from 'vitest';
import { Dialect as ApiDialect } from '../gen/spanmesh/v1/types.ts';
import { apiDialect, dialectOf } from './dialect.ts';

it('a dialect has the number of the APIs, both ways; auto has none', () => {
  expect((['linkid', 'circuit', 'auto'] as const).map(apiDialect)).toEqual([
    ApiDialect.DIALECT_LINKID,
    ApiDialect.DIALECT_CIRCUIT,
    ApiDialect.DIALECT_UNSPECIFIED,
  ]);
  expect(
    [
      ApiDialect.DIALECT_LINKID,
      ApiDialect.DIALECT_CIRCUIT,
      ApiDialect.DIALECT_UNSPECIFIED,
      ApiDialect.UNRECOGNIZED,
    ].map(dialectOf),
  ).toEqual(['linkid', 'circuit', null, null]);
});
