import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { DrawnMap } from '../map/drawn-map.ts';
import type { MapPick } from '../map/map-model.ts';
import { following, version } from '../mirror.ts';
import { address } from '../route.ts';
import { useTraffic } from '../traffic.ts';

/**
 * Gateways and the trunks between them, the connections around them, the clusters that these offer: a graph to move
 * about in.
 */
export function MapView() {
  const box = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<DrawnMap | null>(null);
  const [picked, setPicked] = useState<MapPick | null>(null);
  const [find, setFind] = useState('');
  const [found, setFound] = useState(0);
  const next = useRef(0);
  const [trouble, setTrouble] = useState('');
  useEffect(() => {
    let made: DrawnMap | null = null;
    let isOver = false;
    // The graph library is as large as the rest of the page: only who looks at the map loads it.
    import('../map/drawn-map.ts').then(
      ({ DrawnMap: Made }) => {
        if (isOver || box.current === null) return;
        made = new Made(box.current, setPicked);
        setMap(made);
      },
      (error: unknown) => setTrouble(String(error)),
    );
    return () => {
      isOver = true;
      made?.close();
    };
  }, []);
  const drawn = version.value;
  // Trunks are known from the gateways' counters: each end counts its own.
  const { rows } = useTraffic(TrafficKind.TRAFFIC_KIND_TRUNK).value;
  const ends = JSON.stringify(rows.map(({ counters }) => [counters.gateway, counters.id]).sort());
  // While the trunks stay the same the map is not redrawn for them.
  const trunks = useMemo(() => rows.map(({ counters }) => [counters.gateway, counters.id] as const), [ends]);
  useEffect(() => map?.update(trunks), [map, drawn, trunks]);
  useEffect(() => {
    next.current = 0;
  }, [find]);
  useEffect(() => setFound(map?.find(find.trim().toLowerCase()) ?? 0), [map, find, drawn]);
  const goTo = (): void => setPicked(map?.goTo(next.current++) ?? null);
  return (
    <div class="full">
      <h1 class="unseen">Map</h1>
      <div class="tools">
        <input
          type="search"
          placeholder="Find a peer, gateway, cluster"
          aria-label="Find"
          value={find}
          onInput={({ currentTarget }) => setFind(currentTarget.value)}
          onKeyDown={({ key }) => {
            if (key === 'Enter') goTo();
          }}
        />
        {find.trim() !== '' && (
          <>
            <span class="hint" role="status">
              {found.toLocaleString()} found
            </span>
            <button type="button" class="small" disabled={found === 0} onClick={goTo}>
              Go there
            </button>
          </>
        )}
        <button type="button" class="small" onClick={() => map?.zoomIn()} aria-label="Zoom in">
          +
        </button>
        <button type="button" class="small" onClick={() => map?.zoomOut()} aria-label="Zoom out">
          −
        </button>
        <button type="button" class="small" onClick={() => map?.reset()}>
          All
        </button>
        <span class="hint legend">
          <i class="dot gateway" /> gateway <i class="dot peer" /> peer <i class="dot router" /> router{' '}
          <i class="dot cluster" /> cluster <i class="dash" /> trunk
        </span>
      </div>
      {trouble !== '' && (
        <p class="warn">
          The map cannot be drawn here ({trouble}). <a href={address('connections')}>The same as a list</a>
        </p>
      )}
      {following.value.state === 'beginning' && <p role="status">Loading…</p>}
      <div
        class="map"
        ref={box}
        role="img"
        tabIndex={0}
        onKeyDown={(event) => {
          if (map !== null && moveByKey(map, event.key)) event.preventDefault();
        }}
        aria-label="Map of gateways, trunks, peers and clusters, moved with the arrows, plus, minus and Home; the tree and the connections have the same as text"
      />
      <p class="picked" role="status">
        {picked === null ? (
          <span class="hint">Point at something to see what it is.</span>
        ) : (
          <>
            <b>{picked.title}</b> {picked.text}
          </>
        )}
      </p>
    </div>
  );
}

/** Arrows move the map, plus and minus zoom it, Home shows all of it. @returns false: the key has another use */
function moveByKey(map: DrawnMap, key: string): boolean {
  if (key === 'ArrowLeft') map.pan(-1, 0);
  else if (key === 'ArrowRight') map.pan(1, 0);
  else if (key === 'ArrowUp') map.pan(0, 1);
  else if (key === 'ArrowDown') map.pan(0, -1);
  else if (key === '+' || key === '=') map.zoomIn();
  else if (key === '-') map.zoomOut();
  else if (key === 'Home' || key === '0') map.reset();
  else return false;
  return true;
}
