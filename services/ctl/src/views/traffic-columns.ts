import type { TrafficCounters } from '@spanmesh/proto/v1/traffic';
import type { Connection } from '@spanmesh/proto/v1/types';
import { printable } from '../output/printable.ts';
import { quantity } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import { CONNECTION_COLUMNS } from './tables.ts';

/** Columns that are as wide as what peers and operators write: they stay last. */
const LAST = new Set(['LABEL', 'WANTED BY']);

/** The columns of connections with what has passed on each so far. `counters`: by id; what is not in it shows none. */
export function connectionColumnsWith(counters: ReadonlyMap<string, TrafficCounters>): Column<Connection>[] {
  const column = (heading: string, numberOf: (one: TrafficCounters) => number): Column<Connection> => ({
    heading,
    align: 'right',
    text: ({ id }) => {
      const found = counters.get(id);
      return found === undefined ? '' : quantity(numberOf(found));
    },
  });
  return [
    ...CONNECTION_COLUMNS.filter(({ heading }) => !LAST.has(heading)),
    column('MSG_IN', (one) => one.messagesIn),
    column('MSG_OUT', (one) => one.messagesOut),
    column('B_IN', (one) => one.bytesIn),
    column('B_OUT', (one) => one.bytesOut),
    column('OPEN', (one) => one.transactionsOpen),
    column('OPENED', (one) => one.transactionsOpened),
    column('QUEUE', (one) => one.queueBytes),
    column('PAUSES', (one) => one.pauses),
    ...CONNECTION_COLUMNS.filter(({ heading }) => LAST.has(heading)),
  ];
}

/** That these gateways have not answered, for people. */
export function missingTraffic(gateways: readonly string[]): string {
  return `missing: ${gateways.map(printable).join(', ')} (no answer)`;
}
