import { type TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { ageText } from '../output/age-text.ts';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import { quantity } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import { dialectName } from '../views/words.ts';
import type { Rates, TrafficRow } from './rates.ts';

/** A column with the rate of some fields, added up. Rows with an unknown rate are sorted before those with 0. */
function rate(
  heading: string,
  fields: readonly (keyof Rates)[],
  more: Partial<Column<TrafficRow>> = {},
): Column<TrafficRow> {
  const sum = (rates: Rates): number => fields.reduce((all, field) => all + rates[field], 0);
  return {
    heading,
    align: 'right',
    text: ({ rates }) => (rates === null ? '' : quantity(sum(rates))),
    sortBy: ({ rates }) => (rates === null ? -1 : sum(rates)),
    ...more,
  };
}

export const TOP_COLUMNS: readonly Column<TrafficRow>[] = [
  { heading: 'WHAT', text: ({ counters }) => kindName(counters.kind) },
  {
    heading: 'ID',
    text: ({ counters }) => nameOf(counters),
    // Sorted in the order of the API.
    sortBy: ({ counters: { gateway, kind, id } }) => `${gateway} ${kind} ${id}`,
  },
  { heading: 'REMOTE', narrow: 'omit', text: ({ counters }) => printable(counters.address) },
  {
    heading: 'DIALECT',
    narrow: 'omit',
    text: ({ counters }) => (counters.kind === CONNECTION ? dialectName(counters.dialect) : ''),
  },
  rate('MSG_IN/S', ['messagesIn']),
  rate('MSG_OUT/S', ['messagesOut']),
  rate('MSG/S', ['messagesIn', 'messagesOut'], { isWide: true }),
  rate('B_IN/S', ['bytesIn']),
  rate('B_OUT/S', ['bytesOut']),
  rate('B/S', ['bytesIn', 'bytesOut'], { isWide: true }),
  {
    heading: 'OPEN',
    align: 'right',
    text: ({ counters }) => quantity(counters.transactionsOpen),
    sortBy: ({ counters }) => counters.transactionsOpen,
  },
  rate('OPENED/S', ['transactionsOpened'], { narrow: 'omit' }),
  {
    heading: 'QUEUE',
    align: 'right',
    sortBy: ({ counters }) => counters.queueBytes,
    text: ({ counters }) => quantity(counters.queueBytes),
    role: ({ counters }) => (counters.queueBytes > 0 ? 'warn' : undefined),
  },
  rate('PAUSES/S', ['pauses'], {
    narrow: 'omit',
    role: ({ rates }) => (rates !== null && rates.pauses > 0 ? 'warn' : undefined),
  }),
  {
    heading: 'FOR',
    align: 'right',
    text: ({ counters }) => ageText(Math.floor(counters.ageMs / 1000)),
    sortBy: ({ counters }) => counters.ageMs,
  },
  { heading: 'LABEL', narrow: 'cut', text: ({ counters }) => printableLabel(counters.label) },
];

const CONNECTION = TrafficKind.TRAFFIC_KIND_CONNECTION;

/** The kinds by their names for `--kind`. */
export const KIND_NAMES = {
  connection: TrafficKind.TRAFFIC_KIND_CONNECTION,
  trunk: TrafficKind.TRAFFIC_KIND_TRUNK,
  class: TrafficKind.TRAFFIC_KIND_ROUTE_CLASS,
} as const;

export type KindName = keyof typeof KIND_NAMES;

function kindName(kind: TrafficKind): string {
  return Object.entries(KIND_NAMES).find(([, one]) => one === kind)?.[0] ?? '?';
}

/** A row's name. A connection's id includes its gateway; others get the gateway's name in front. */
function nameOf({ kind, gateway, id }: TrafficCounters): string {
  if (kind === TrafficKind.TRAFFIC_KIND_CONNECTION) return printable(id);
  return printable(kind === TrafficKind.TRAFFIC_KIND_TRUNK ? `${gateway} - ${id}` : `${gateway} ${id}`);
}
