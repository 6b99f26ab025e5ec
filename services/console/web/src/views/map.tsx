import { useEffect, useRef, useState } from 'preact/hooks';
import type { DrawnMap, MapPick } from '../map/drawn-map.ts';
import { following, version } from '../mirror.ts';
import { address } from '../route.ts';

/** Gateways, the connections around them, the clusters that these offer: a graph to move about in. */
export function MapView() {
  const box = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<DrawnMap | null>(null);
  const [picked, setPicked] = useState<MapPick | null>(null);
  const [find, setFind] = useState('');
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
  useEffect(() => map?.update(), [map, drawn]);
  useEffect(() => map?.find(find.trim().toLowerCase()), [map, find, drawn]);
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
        />
        <button type="button" class="small" onClick={() => map?.zoom(1 / 1.5)} aria-label="Zoom in">
          +
        </button>
        <button type="button" class="small" onClick={() => map?.zoom(1.5)} aria-label="Zoom out">
          −
        </button>
        <button type="button" class="small" onClick={() => map?.reset()}>
          All
        </button>
        <span class="hint legend">
          <i class="dot gateway" /> gateway <i class="dot peer" /> peer <i class="dot router" /> router{' '}
          <i class="dot cluster" /> cluster
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
        aria-label="Map of gateways, peers and clusters; the tree and the connections have the same as text"
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
