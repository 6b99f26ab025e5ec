import { setTimeout as wait } from 'node:timers/promises';
import { type TrafficCounters, TrafficCounters as TrafficCountersFns } from '@spanmesh/proto/v1/traffic';
import { TopologyApi, type TrafficListing } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { type Paint, paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { quantity } from '../output/quantity.ts';
import { isTerminal, Screen, widthOf } from '../output/screen.ts';
import { selectColumns, sortRows } from '../output/select-rows.ts';
import { type Column, renderTable } from '../output/table.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { missingTraffic } from '../views/traffic-columns.ts';
import { count } from '../views/words.ts';
import { isFound, type TopOrder } from './order.ts';
import { TrafficRates, type TrafficRow } from './rates.ts';
import { KIND_NAMES, type KindName, TOP_COLUMNS } from './top-table.ts';

export interface TopQuery {
  readonly options: ApiOptions;
  readonly kinds: readonly KindName[];
  readonly sort: TopOrder;
  /** Names of columns; null: the default ones. */
  readonly columns: readonly string[] | null;
  /** Only rows whose id, address or label contain this; empty: all. */
  readonly filter: string;
  /** Only rows of this gateway; empty: of all. */
  readonly gateway: string;
  /** Most rows; 0: all, or as many as fit on the terminal. */
  readonly limit: number;
  /** Time from one sample to the next, ms. */
  readonly intervalMs: number;
  /** Number of blocks; 0: until the signal is aborted. null: on a terminal as 0, otherwise one. */
  readonly blocks: number | null;
  readonly signal: AbortSignal;
  /** Waits; rejects when the signal is aborted. Default: by Node's timers. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** The rows of one block. */
interface Shown {
  readonly rows: readonly TrafficRow[];
  readonly silentGateways: readonly string[];
  readonly intervalMs: number;
}

/**
 * Prints the rates of traffic between each two samples: in place on a terminal, otherwise as blocks. JSON: a document a
 * line.
 * @throws Failure
 */
export async function showTop(query: TopQuery, terminal: Terminal): Promise<void> {
  const { options, signal, intervalMs, pause = waitFor } = query;
  // The arguments are checked before the API is called.
  const columns = selectColumns(TOP_COLUMNS, query.columns, options.output === 'wide');
  sortRows(TOP_COLUMNS, [], query.sort.keys);
  const inPlace = !isDocument(options.output) && isTerminal(terminal.out) && query.blocks !== 1;
  const blocks = query.blocks ?? (isTerminal(terminal.out) ? 0 : 1);
  const screen = inPlace ? new Screen(terminal.out) : null;
  const api = new TopologyApi(options);
  const rates = new TrafficRates();
  try {
    // The first sample comes before anything is changed on the terminal: its failure is printed as an ordinary line.
    let sample = await take(api, query, rates);
    await screen?.begin();
    await screen?.show(`Measuring for ${intervalMs / 1000} s.`);
    for (let shown = 0; (blocks === 0 || shown < blocks) && !signal.aborted; shown++) {
      if (!(await paused(pause, intervalMs, signal))) break;
      sample = await take(api, query, rates);
      await print(sample, query, { columns, terminal, screen });
    }
  } finally {
    await screen?.end();
    api.close();
  }
}

async function take(api: TopologyApi, query: TopQuery, rates: TrafficRates): Promise<Shown> {
  const kinds = query.kinds.map((name) => KIND_NAMES[name]);
  const { items, silentGateways }: TrafficListing = await api.traffic({ gateway: query.gateway, kinds });
  const rows = rates.take(items, performance.now()).filter((row) => query.filter === '' || isFound(row, query.filter));
  return { rows: sortRows(TOP_COLUMNS, rows, query.sort.keys), silentGateways, intervalMs: query.intervalMs };
}

interface Printing {
  readonly columns: readonly Column<TrafficRow>[];
  readonly terminal: Terminal;
  readonly screen: Screen | null;
}

async function print(
  shown: Shown,
  { options, limit, sort }: TopQuery,
  { columns, terminal, screen }: Printing,
): Promise<void> {
  const { rows, silentGateways } = shown;
  if (isDocument(options.output)) {
    await writeDocumentOfStream(options.output, terminal.out, documentOf(shown, limit));
    return;
  }
  const paint = paintFor(terminal.out);
  const width = options.output === 'wide' ? Number.POSITIVE_INFINITY : widthOf(terminal.out);
  if (screen === null) {
    if (silentGateways.length > 0) note(terminal, missingTraffic(silentGateways));
    await write(terminal.out, renderTable(columns, limit === 0 ? rows : rows.slice(0, limit), paint, width));
    return;
  }
  const above = [titleOf(rows, sort, paint)];
  if (silentGateways.length > 0) above.push(paint('warn', missingTraffic(silentGateways)));
  // Less an empty line, and the headings.
  const room = Math.max(1, screen.rows - above.length - 2);
  const fitting = rows.slice(0, limit === 0 ? room : Math.min(limit, room));
  await screen.show(`${above.join('\n')}\n\n${renderTable(columns, fitting, paint, width)}`);
}

/**
 * The title, with sums of the rows: of connections, so that a message on its way through is not counted twice, or else
 * of the kind that was asked for.
 */
function titleOf(rows: readonly TrafficRow[], { name }: TopOrder, paint: Paint): string {
  const connections = rows.filter(({ counters }) => counters.kind === KIND_NAMES.connection);
  const summed = connections.length > 0 ? connections : rows;
  const total = (field: 'messagesIn' | 'messagesOut' | 'bytesIn' | 'bytesOut'): string =>
    quantity(summed.reduce((all, { rates }) => all + (rates?.[field] ?? 0), 0));
  const gateways = new Set(rows.map(({ counters }) => counters.gateway)).size;
  const words = [
    `${connections.length > 0 ? count(connections.length, 'connection') : count(rows.length, 'row')} on ${count(gateways, 'gateway')}`,
    `in ${total('messagesIn')} msg/s ${total('bytesIn')} B/s`,
    `out ${total('messagesOut')} msg/s ${total('bytesOut')} B/s`,
    `by ${printable(name)}`,
  ];
  return paint('heading', words.join(', '));
}

function documentOf({ rows, silentGateways, intervalMs }: Shown, limit: number): unknown {
  const listed = limit === 0 ? rows : rows.slice(0, limit);
  return {
    intervalMs,
    counters: listed.map(({ counters, rates }) => ({
      ...(protobufJson<TrafficCounters>(TrafficCountersFns, counters) as object),
      perSecond: rates,
    })),
    silentGateways,
  };
}

/** Waits; false: the signal was aborted first. */
async function paused(pause: NonNullable<TopQuery['pause']>, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await pause(ms, signal);
    return !signal.aborted;
  } catch (error) {
    if (!signal.aborted) throw error;
    return false;
  }
}

function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, undefined, { signal });
}
