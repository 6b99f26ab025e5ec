import { useState } from 'preact/hooks';
import { timeOfDay } from '../clock.ts';
import { changes, type Seen } from '../mirror.ts';
import { type Column, Table } from '../table.tsx';

/** What has changed in the trees while the page is open. */
export function EventsView() {
  const [find, setFind] = useState('');
  const wanted = find.trim().toLowerCase();
  const rows = changes.value.filter(({ text, what, kind }) => `${kind} ${what} ${text}`.toLowerCase().includes(wanted));
  const columns: readonly Column<Seen>[] = [
    { heading: 'Time', cell: ({ at }) => <time>{timeOfDay(at)}</time> },
    { heading: 'What', cell: ({ what }) => what, sort: ({ what }) => what },
    { heading: 'Happened', cell: ({ kind }) => <span class={kind}>{kind}</span>, sort: ({ kind }) => kind },
    { heading: 'To', cell: ({ text }) => <span class="id">{text}</span>, sort: ({ text }) => text },
  ];
  return (
    <div class="full">
      <h1 class="unseen">Events</h1>
      <div class="tools">
        <input
          type="search"
          placeholder="Find"
          aria-label="Find"
          value={find}
          onInput={({ currentTarget }) => setFind(currentTarget.value)}
        />
        <span class="hint">The last 500 changes of the trees since this page was opened.</span>
      </div>
      <Table
        label="Events"
        columns={columns}
        rows={rows}
        keyOf={({ n }) => String(n)}
        empty="Nothing has changed since this page was opened."
      />
    </div>
  );
}
