import type { TrafficCounters } from '@spanmesh/proto/v1/traffic';
import type { Connection } from '@spanmesh/proto/v1/types';
import { printable } from '../output/printable.ts';
import { quantity } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import { CONNECTION_COLUMNS } from './tables.ts';

/** A connection with its traffic counters, if they were asked for and are known. */
export interface ConnectionRow extends Connection {
  readonly traffic?: TrafficCounters | undefined;
}

function counted(heading: string, numberOf: (one: TrafficCounters) => number): Column<ConnectionRow> {
  return {
    heading,
    align: 'right',
    isWide: true,
    text: ({ traffic }) => (traffic === undefined ? '' : quantity(numberOf(traffic))),
    sortBy: ({ traffic }) => (traffic === undefined ? -1 : numberOf(traffic)),
  };
}

const TRAFFIC_COLUMNS: readonly Column<ConnectionRow>[] = [
  counted('MSG_IN', (one) => one.messagesIn),
  counted('MSG_OUT', (one) => one.messagesOut),
  counted('B_IN', (one) => one.bytesIn),
  counted('B_OUT', (one) => one.bytesOut),
  counted('OPEN', (one) => one.transactionsOpen),
  counted('OPENED', (one) => one.transactionsOpened),
  counted('QUEUE', (one) => one.queueBytes),
  counted('PAUSES', (one) => one.pauses),
];

/** Columns as wide as the texts of peers and operators: they stay last. */
const LAST = new Set(['LABEL', 'WANTED BY']);

/** The columns of connections, and those of their traffic so far. */
export const CONNECTION_COLUMNS_WITH_TRAFFIC: readonly Column<ConnectionRow>[] = [
  ...CONNECTION_COLUMNS.filter(({ heading }) => !LAST.has(heading)),
  ...TRAFFIC_COLUMNS,
  ...CONNECTION_COLUMNS.filter(({ heading }) => LAST.has(heading)),
];

/** True for a column whose numbers come from the gateways, which must be asked. */
export function isTrafficColumn(column: Column<ConnectionRow>): boolean {
  return TRAFFIC_COLUMNS.includes(column);
}

/** A line, for people, that these gateways have not answered. */
export function missingTraffic(gateways: readonly string[]): string {
  return `missing: ${gateways.map(printable).join(', ')} (no answer)`;
}
