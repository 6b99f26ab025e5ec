import { type TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { ageText } from '../output/age-text.ts';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import { quantity } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import { dialectName } from '../views/words.ts';
import type { Rates, TrafficRow } from './rates.ts';

const rate = (field: keyof Rates) => (row: TrafficRow) => (row.rates === null ? '' : quantity(row.rates[field]));

export const TOP_COLUMNS: readonly Column<TrafficRow>[] = [
  { heading: 'WHAT', text: ({ counters }) => kindName(counters.kind) },
  { heading: 'ID', text: ({ counters }) => nameOf(counters) },
  { heading: 'REMOTE', narrow: 'omit', text: ({ counters }) => printable(counters.address) },
  {
    heading: 'DIALECT',
    narrow: 'omit',
    text: ({ counters }) => (counters.kind === CONNECTION ? dialectName(counters.dialect) : ''),
  },
  { heading: 'MSG_IN/S', align: 'right', text: rate('messagesIn') },
  { heading: 'MSG_OUT/S', align: 'right', text: rate('messagesOut') },
  { heading: 'B_IN/S', align: 'right', text: rate('bytesIn') },
  { heading: 'B_OUT/S', align: 'right', text: rate('bytesOut') },
  { heading: 'OPEN', align: 'right', text: ({ counters }) => quantity(counters.transactionsOpen) },
  { heading: 'OPENED/S', align: 'right', narrow: 'omit', text: rate('transactionsOpened') },
  {
    heading: 'QUEUE',
    align: 'right',
    text: ({ counters }) => quantity(counters.queueBytes),
    role: ({ counters }) => (counters.queueBytes > 0 ? 'warn' : undefined),
  },
  {
    heading: 'PAUSES/S',
    narrow: 'omit',
    align: 'right',
    text: rate('pauses'),
    role: ({ rates }) => (rates !== null && rates.pauses > 0 ? 'warn' : undefined),
  },
  { heading: 'FOR', align: 'right', text: ({ counters }) => ageText(Math.floor(counters.ageMs / 1000)) },
  { heading: 'LABEL', narrow: 'cut', text: ({ counters }) => printableLabel(counters.label) },
];

const CONNECTION = TrafficKind.TRAFFIC_KIND_CONNECTION;

/** What `--kind` calls them. */
export const KIND_NAMES = {
  connection: TrafficKind.TRAFFIC_KIND_CONNECTION,
  trunk: TrafficKind.TRAFFIC_KIND_TRUNK,
  class: TrafficKind.TRAFFIC_KIND_ROUTE_CLASS,
} as const;

export type KindName = keyof typeof KIND_NAMES;

function kindName(kind: TrafficKind): string {
  return Object.entries(KIND_NAMES).find(([, one]) => one === kind)?.[0] ?? '?';
}

/** A connection's id says its gateway; the others are named with theirs. */
function nameOf({ kind, gateway, id }: TrafficCounters): string {
  if (kind === TrafficKind.TRAFFIC_KIND_CONNECTION) return printable(id);
  return printable(kind === TrafficKind.TRAFFIC_KIND_TRUNK ? `${gateway} - ${id}` : `${gateway} ${id}`);
}
