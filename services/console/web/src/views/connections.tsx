import { useSignal } from '@preact/signals';
import { pagesOf } from '@spanmesh/ctl/api/pages';
import { printableLabel } from '@spanmesh/ctl/output/label';
import { printable } from '@spanmesh/ctl/output/printable';
import { quantity } from '@spanmesh/ctl/output/quantity';
import type { Rates, TrafficRow } from '@spanmesh/ctl/top/rates';
import { count, dialectName, originText, peerType, quoted, timeText } from '@spanmesh/ctl/views/words';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import type { Connection } from '@spanmesh/proto/v1/types';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { topology } from '../api.ts';
import { age } from '../clock.ts';
import { Dialog } from '../dialog.tsx';
import { repeat } from '../follow.ts';
import { connections, following, isFresh, version } from '../mirror.ts';
import { mayOperate } from '../session.ts';
import { type Column, Table } from '../table.tsx';
import { useTraffic } from '../traffic.ts';

/** How often the numbers of links and relays are asked for, ms: a watch does not tell them. */
const COUNTS_MS = 4000;

export function ConnectionsView() {
  const [find, setFind] = useState('');
  const [asked, setAsked] = useState<Connection | null>(null);
  const counted = useSignal<ReadonlyMap<string, Connection>>(new Map());
  useEffect(
    () =>
      repeat(COUNTS_MS, async (signal) => {
        const all = new Map<string, Connection>();
        for await (const page of pagesOf((request) => topology.listConnections(request, { signal }))) {
          for (const connection of page.connections) all.set(connection.id, connection);
        }
        counted.value = all;
      }),
    [],
  );
  const { rows: counters, silentGateways } = useTraffic(TrafficKind.TRAFFIC_KIND_CONNECTION).value;
  const traffic = useMemo(() => new Map(counters.map((row) => [row.counters.id, row])), [counters]);
  void version.value;
  const rows = [...connections.values()].filter((connection) => isFound(connection, find.trim().toLowerCase()));
  const links = (c: Connection): number => counted.value.get(c.id)?.links ?? c.links;
  const relays = (c: Connection): number => counted.value.get(c.id)?.relays ?? c.relays;
  const columns: readonly Column<Connection>[] = [
    { heading: 'Connection', cell: (c) => <span class="id">{printable(c.id)}</span>, sort: (c) => c.id },
    { heading: 'Peer', cell: peerOf, sort: peerOf },
    { heading: 'Address', cell: (c) => printable(c.remoteAddress), sort: (c) => c.remoteAddress },
    { heading: 'Dialect', cell: (c) => dialectName(c.dialect), sort: (c) => c.dialect },
    {
      heading: 'Origin',
      cell: (c) => `${originText(c.origin)}${c.wantedBy === '' ? '' : ` ${printable(c.wantedBy)}`}`,
      sort: (c) => c.origin,
    },
    {
      heading: 'For',
      cell: (c) => <time title={timeText(c.since)}>{age(c.since)}</time>,
      sort: (c) => -(c.since?.getTime() ?? 0),
      isNumber: true,
    },
    { heading: 'State', cell: stateOf, sort: stateOf },
    { heading: 'Links', cell: links, sort: links, isNumber: true },
    { heading: 'Relays', cell: relays, sort: relays, isNumber: true },
    ...trafficColumns((c) => traffic.get(c.id)),
    ...(mayOperate()
      ? [
          {
            heading: 'Close',
            isAct: true,
            cell: (c: Connection) => (
              <button type="button" class="small" aria-label={`Close ${printable(c.id)}`} onClick={() => setAsked(c)}>
                Close…
              </button>
            ),
          },
        ]
      : []),
  ];
  return (
    <div class="full">
      <h1 class="unseen">Connections</h1>
      <div class="tools">
        <input
          type="search"
          placeholder="Find a connection, peer, address, gateway"
          aria-label="Find"
          value={find}
          onInput={({ currentTarget }) => setFind(currentTarget.value)}
        />
        <span class="hint" role="status">
          {count(rows.length, 'connection')}
          {silentGateways.length > 0 && `; no traffic of ${silentGateways.map(printable).join(', ')}: no answer`}
        </span>
      </div>
      <Table
        label="Connections"
        columns={columns}
        rows={rows}
        keyOf={({ id }) => id}
        isFresh={({ id }) => isFresh(id)}
        empty={following.value.state === 'beginning' ? 'Loading…' : 'No peer is connected.'}
      />
      {asked !== null && (
        <Dialog
          title={`Close ${printable(asked.id)}`}
          action="Close the connection"
          close={() => setAsked(null)}
          act={async (form) => {
            await topology.closeConnection({ connection: asked.id, reason: String(form.get('reason') ?? '') });
          }}
        >
          <p>It is closed in order. The peer {printable(asked.remoteAddress)} may connect anew.</p>
          <label>
            Why, for the log
            <input name="reason" maxLength={200} />
          </label>
        </Dialog>
      )}
    </div>
  );
}

/** Traffic of each: rates in a second, and transactions open and bytes waiting now. */
function trafficColumns(rowOf: (connection: Connection) => TrafficRow | undefined): readonly Column<Connection>[] {
  const column = (heading: string, numberOf: (row: TrafficRow) => number | null): Column<Connection> => {
    const value = (connection: Connection): number | null => {
      const row = rowOf(connection);
      return row === undefined ? null : numberOf(row);
    };
    return {
      heading,
      cell: (c) => {
        const number = value(c);
        return number === null ? '–' : quantity(number);
      },
      sort: (c) => value(c) ?? -1,
      isNumber: true,
    };
  };
  const rate =
    (...fields: (keyof Rates)[]) =>
    ({ rates }: TrafficRow): number | null =>
      rates === null ? null : fields.reduce((sum, field) => sum + rates[field], 0);
  return [
    column('In B/s', rate('bytesIn')),
    column('Out B/s', rate('bytesOut')),
    column('Msg/s', rate('messagesIn', 'messagesOut')),
    column('Open', ({ counters }) => counters.transactionsOpen),
    column('Queue', ({ counters }) => counters.queueBytes),
  ];
}

/** The peers of its LNK_CONNs. */
function peerOf({ lnkConns }: Connection): string {
  return lnkConns.map((one) => [peerType(one.peerType), quoted(one.label)].filter(Boolean).join(' ')).join(', ');
}

function stateOf({ closing, suspect }: Connection): string {
  if (closing !== '') return `closing: ${printable(closing)}`;
  return suspect ? 'suspect' : 'up';
}

function isFound(connection: Connection, find: string): boolean {
  const { id, remoteAddress, gateway, wantedBy, lnkConns } = connection;
  const texts = [id, remoteAddress, gateway, wantedBy, ...lnkConns.flatMap((one) => [one.label, one.id])];
  return find === '' || texts.some((text) => printableLabel(text).toLowerCase().includes(find));
}
