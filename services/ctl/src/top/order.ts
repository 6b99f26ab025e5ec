import { parseSort } from '../list-options.ts';
import type { SortKey } from '../output/select-rows.ts';
import type { TrafficRow } from './rates.ts';

/** Words for what one wants to see first, and their columns: the most first, but for `id`. */
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
  /** As it was typed. */
  readonly name: string;
  readonly keys: readonly SortKey[];
}

/** Columns as every list is sorted by them, and the words. */
export function parseOrder(name: string): TopOrder {
  const parts = name.split(',').map((part) => WORDS[part.trim().toLowerCase()] ?? part);
  return { name: name.trim().toLowerCase(), keys: parseSort(parts.join(',')) };
}

/** Whether a row has the text somewhere in what names it, in whatever case. */
export function isFound({ counters }: TrafficRow, text: string): boolean {
  const wanted = text.toLowerCase();
  return [counters.id, counters.gateway, counters.address, counters.label].some((one) =>
    one.toLowerCase().includes(wanted),
  );
}
