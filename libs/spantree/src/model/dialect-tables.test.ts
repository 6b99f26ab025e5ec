import { expect, it } from 'vitest';
import type { LnkConnFilter } from '../span.ts';
import { DialectTables } from './dialect-tables.ts';
import { Connection } from './parts.ts';
import { Reachability } from './reachability.ts';

const filter: LnkConnFilter = { dialect: 'linkid', peerMaskLo: 1, peerMaskHi: 0, peerType: 1, clusterId: '' };

it('LNK_CONNs are listed class by class, and the list is made again only when one comes or goes', () => {
  const tables = new DialectTables(1, 1, new Reachability());
  const connection = new Connection('g', 1, null);
  const first = tables.addLnkConn(connection, 1, filter);
  const other = tables.addLnkConn(connection, 2, { ...filter, peerType: 2 });
  const second = tables.addLnkConn(connection, 3, filter);

  const all = tables.lnkConnsByClass();
  expect(all).toEqual([first, second, other]);
  expect(tables.lnkConnsByClass()).toBe(all);

  tables.removeLnkConn(first);
  expect(tables.lnkConnsByClass()).toEqual([second, other]);
});
