import { parseSort } from '../list-options.ts';
import type { SortKey } from '../output/select-rows.ts';
import type { TrafficRow } from './rates.ts';

/** Words to sort by, and their columns: the highest first, except for `id`. */
const WORDS: Readonly<Record<string, string>> = {
  bytes: '-b/s',
  'bytes-in': '-b_in/s',
  'bytes-out': '-b_out/s',
  messages: '-msg/s',
  'messages-in': '-msg_in/s',
  'messages-out': '-msg_out/s',
  open: '-open',
  opened: '-opened/s',
  queue: '-queue',
  pauses: '-pauses/s',
  age: '-for',
  id: 'id',
};

export const SORT_WORDS: readonly string[] = Object.keys(WORDS);

/** An order of rows. */
export interface TopOrder {
  /** The order as it was typed. */
  readonly name: string;
  readonly keys: readonly SortKey[];
}

/** Reads an order: the words above, or columns as for every list. */
export function parseOrder(name: string): TopOrder {
  const parts = name.split(',').map((part) => WORDS[part.trim().toLowerCase()] ?? part);
  return { name: name.trim().toLowerCase(), keys: parseSort(parts.join(',')) };
}

/** Whether the row's id, address, label or gateway contains the text, in upper or lower case. */
export function isFound({ counters }: TrafficRow, text: string): boolean {
  const wanted = text.toLowerCase();
  return [counters.id, counters.gateway, counters.address, counters.label].some((one) =>
    one.toLowerCase().includes(wanted),
  );
}
