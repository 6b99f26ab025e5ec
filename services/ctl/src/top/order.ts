import type { Rates, TrafficRow } from './rates.ts';

const sum = (row: TrafficRow, ...fields: (keyof Rates)[]): number =>
  row.rates === null ? -1 : fields.reduce((total, field) => total + (row.rates?.[field] ?? 0), 0);

/** What rows can be sorted by: the most first, but for `id`. */
const KEYS = {
  bytes: (row) => sum(row, 'bytesIn', 'bytesOut'),
  'bytes-in': (row) => sum(row, 'bytesIn'),
  'bytes-out': (row) => sum(row, 'bytesOut'),
  messages: (row) => sum(row, 'messagesIn', 'messagesOut'),
  'messages-in': (row) => sum(row, 'messagesIn'),
  'messages-out': (row) => sum(row, 'messagesOut'),
  open: ({ counters }) => counters.transactionsOpen,
  opened: (row) => sum(row, 'transactionsOpened'),
  queue: ({ counters }) => counters.queueBytes,
  pauses: (row) => sum(row, 'pauses'),
  age: ({ counters }) => counters.ageMs,
  id: () => 0,
} as const satisfies Record<string, (row: TrafficRow) => number>;

export type SortKey = keyof typeof KEYS;

export const SORT_KEYS = Object.keys(KEYS) as readonly SortKey[];

/** A new list. Equal ones stay in the order of the API: gateway, kind, number. */
export function sortedBy(rows: readonly TrafficRow[], key: SortKey): TrafficRow[] {
  const amountOf = KEYS[key];
  return rows.toSorted((a, b) => amountOf(b) - amountOf(a));
}

/** Whether a row has the text somewhere in what names it, in whatever case. */
export function isFound({ counters }: TrafficRow, text: string): boolean {
  const wanted = text.toLowerCase();
  return [counters.id, counters.gateway, counters.address, counters.label].some((one) =>
    one.toLowerCase().includes(wanted),
  );
}
