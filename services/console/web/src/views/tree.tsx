import { useSignal } from '@preact/signals';
import { printableLabel } from '@spanmesh/ctl/output/label';
import { printable } from '@spanmesh/ctl/output/printable';
import { clusterText, count, dialectOf, distText, hasRnss, peerType, quoted } from '@spanmesh/ctl/views/words';
import { Dialect, type Relay } from '@spanmesh/proto/v1/types';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { topology, words } from '../api.ts';
import { repeat } from '../follow.ts';
import { clusters, following, isFresh, version } from '../mirror.ts';
import { address } from '../route.ts';
import { ROW_PX } from '../table.tsx';
import { flatten, type Row } from '../tree-rows.ts';
import { useWindow } from '../use-window.ts';

/** How often the relays of an opened link are asked for, ms. */
const RELAYS_MS = 3000;

/** Clusters, their nodes, the nodes' links, the links' relays: live. */
export function TreeView() {
  const box = useRef<HTMLDivElement>(null);
  const [find, setFind] = useState('');
  const [dialect, setDialect] = useState<Dialect>(Dialect.DIALECT_UNSPECIFIED);
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(0);
  const relays = useSignal<ReadonlyMap<string, readonly Relay[] | string>>(new Map());
  const drawn = version.value;
  // `drawn` changes whenever the maps of the mirror do, which change in place.
  const rows = useMemo(
    () => flatten(clusters.values(), { find, dialect, toggled, relays: relays.value }),
    [drawn, find, dialect, toggled, relays.value],
  );
  const opened = rows.flatMap((row) => (row.kind === 'link' && row.isOpen ? [row.link.id] : [])).join('\n');
  useEffect(() => {
    if (opened === '') return undefined;
    return repeat(RELAYS_MS, async (signal) => {
      const answers = await Promise.all(
        opened.split('\n').map(async (link) => {
          const answer = await topology
            .listRelays({ link, pageSize: 500 }, { signal })
            .then(({ relays: found }) => found, words);
          return [link, answer] as const;
        }),
      );
      relays.value = new Map(answers);
    });
  }, [opened]);

  const toggle = (row: Row): void => {
    const next = new Set(toggled);
    if (!next.delete(row.key)) next.add(row.key);
    setToggled(next);
  };
  const go = (to: number): void => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    setActive(index);
    const element = box.current;
    if (element === null) return;
    const top = index * ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + ROW_PX - element.clientHeight;
    }
  };
  const onKey = (event: KeyboardEvent): void => {
    const row = rows[active];
    if (row === undefined) return;
    const page = Math.floor((box.current?.clientHeight ?? ROW_PX) / ROW_PX);
    const moves: Record<string, () => void> = {
      ArrowDown: () => go(active + 1),
      ArrowUp: () => go(active - 1),
      PageDown: () => go(active + page),
      PageUp: () => go(active - page),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight: () => (row.isOpen === false ? toggle(row) : go(active + 1)),
      ArrowLeft: () => {
        if (row.isOpen === true) toggle(row);
        else go(rows.findLastIndex((other, i) => i < active && other.level < row.level));
      },
      ' ': () => toggle(row),
      Enter: () => {
        if (row.kind === 'node') location.hash = address('node', row.entry.key);
        else toggle(row);
      },
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    move();
  };
  const [first, end] = useWindow(box, rows.length, ROW_PX);
  const current = Math.min(active, rows.length - 1);
  return (
    <div class="full">
      <h1 class="unseen">Tree</h1>
      <div class="tools">
        <input
          type="search"
          placeholder="Find a node, label, cluster, connection"
          aria-label="Find"
          value={find}
          onInput={({ currentTarget }) => setFind(currentTarget.value)}
        />
        <select
          aria-label="Dialect"
          value={dialect}
          onChange={({ currentTarget }) => setDialect(Number(currentTarget.value) as Dialect)}
        >
          <option value={Dialect.DIALECT_UNSPECIFIED}>both dialects</option>
          <option value={Dialect.DIALECT_CIRCUIT}>circuit</option>
          <option value={Dialect.DIALECT_LINKID}>linkid</option>
        </select>
        <span class="hint" role="status">
          {count(rows.length, 'row')}
        </span>
      </div>
      {rows.length === 0 && (
        <p class="hint">{following.value.state === 'beginning' ? 'Loading…' : 'No peer offers anything like that.'}</p>
      )}
      {rows.length > 0 && (
        <div
          class="scroll tree"
          ref={box}
          role="tree"
          aria-label="Clusters, nodes, links, relays"
          tabIndex={0}
          aria-activedescendant={`row-${current}`}
          onKeyDown={onKey}
        >
          <div role="none" style={{ height: `${first * ROW_PX}px` }} />
          {rows.slice(first, end).map((row, i) => (
            <div
              key={row.key}
              id={`row-${first + i}`}
              role="treeitem"
              aria-level={row.level}
              aria-posinset={row.position}
              aria-setsize={row.of}
              aria-expanded={row.isOpen}
              aria-selected={first + i === current}
              class={`row level-${row.level} ${isFresh(row.changeKey) ? 'fresh' : ''}`}
              onClick={() => {
                setActive(first + i);
                toggle(row);
              }}
            >
              <span class="twist" aria-hidden="true">
                {row.isOpen === undefined ? '' : row.isOpen ? '▾' : '▸'}
              </span>
              <Label row={row} />
            </div>
          ))}
          <div role="none" style={{ height: `${(rows.length - end) * ROW_PX}px` }} />
        </div>
      )}
    </div>
  );
}

function Label({ row }: { readonly row: Row }) {
  switch (row.kind) {
    case 'cluster':
      return (
        <>
          <b>{clusterText(row.entry.cluster.key)}</b> <span class="hint">{count(row.entry.nodes.size, 'node')}</span>
        </>
      );
    case 'node': {
      const { node, links, key } = row.entry;
      return (
        <>
          <a href={address('node', key)} tabIndex={-1} onClick={(event) => event.stopPropagation()}>
            {node.label === '' ? 'node' : printableLabel(node.label)}
          </a>{' '}
          <span class="id">{printable(node.key?.id ?? '?')}</span> <span class="hint">{count(links.size, 'link')}</span>
        </>
      );
    }
    case 'link': {
      const { link } = row;
      return (
        <>
          link <span class="id">{printable(link.id)}</span> dist {distText(link.dist, dialectOf(link.node))}
          {hasRnss(dialectOf(link.node)) && ` rnss ${link.rnss} ${peerType(link.peerType)}`} on{' '}
          <span class="id">{printable(link.connection)}</span>{' '}
          {[quoted(link.label), link.suspect ? 'suspect' : ''].filter(Boolean).join(' ')}
        </>
      );
    }
    case 'relay':
      return (
        <span>
          relayed to <span class="id">{printable(row.relay.lnkConn)}</span> on{' '}
          <span class="id">{printable(row.relay.connection)}</span>, offered as dist{' '}
          {distText(row.relay.dist, dialectOf(row.relay.node))}
        </span>
      );
    case 'note':
      return <span class="hint">{row.text}</span>;
  }
}
