import { Dialect } from '@spanmesh/proto/v1/types';

/** A request of any list, for everything. */
export const ANY = {
  pageSize: 5000,
  pageToken: '',
  dialect: Dialect.DIALECT_UNSPECIFIED as Dialect,
  id: '',
  clusterId: '',
  node: '',
  connection: '',
  gateway: '',
  link: '',
};
