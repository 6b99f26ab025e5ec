import { KIND_NAMES } from '@spanmesh/ctl/events/event-text';
import { printable } from '@spanmesh/ctl/output/printable';
import { useState } from 'preact/hooks';
import { dateAndTime } from '../clock.ts';
import { eventsLost, eventsTrouble, happened, type Shown } from '../events.ts';
import { type Column, Table } from '../table.tsx';

const COLUMNS: readonly Column<Shown>[] = [
  {
    heading: 'Time',
    cell: ({ at }) => <time dateTime={new Date(at).toISOString()}>{dateAndTime(at)}</time>,
    sort: ({ at }) => at,
  },
  { heading: 'Kind', cell: ({ kind, tone }) => <span class={tone}>{kind}</span>, sort: ({ kind }) => kind },
  { heading: 'What happened', cell: ({ text }) => <span class="id">{text}</span>, sort: ({ text }) => text },
  {
    heading: 'Told by',
    cell: ({ reporter }) => <span class="id">{printable(reporter)}</span>,
    sort: ({ reporter }) => reporter,
  },
];

/** The events of the installation, as `spanmesh events` lists them, and new ones as they happen. */
export function EventsView() {
  const [find, setFind] = useState('');
  const [kind, setKind] = useState('');
  const wanted = find.trim().toLowerCase();
  const rows = happened.value.filter(
    (one) =>
      (kind === '' || one.kind === kind) && `${one.kind} ${one.text} ${one.reporter}`.toLowerCase().includes(wanted),
  );
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
        <select aria-label="Kind" value={kind} onChange={({ currentTarget }) => setKind(currentTarget.value)}>
          <option value="">all kinds</option>
          {KIND_NAMES.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <span class="hint" role="status">
          {eventsTrouble.value !== '' && `Not followed at the moment: ${eventsTrouble.value} `}
          {eventsLost.value > 0 && `${eventsLost.value} were lost on their way.`}
        </span>
      </div>
      <Table
        label="Events"
        columns={COLUMNS}
        rows={rows}
        keyOf={({ id }) => id}
        empty="Nothing is known of this kind."
      />
    </div>
  );
}
