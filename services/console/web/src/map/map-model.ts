import { printableLabel } from '@spanmesh/ctl/output/label';
import { printable } from '@spanmesh/ctl/output/printable';
import { clusterText, count, dialectName, peerType } from '@spanmesh/ctl/views/words';
import { PeerType } from '@spanmesh/dmsg/names';
import type { Connection } from '@spanmesh/proto/v1/types';
import { UndirectedGraph } from 'graphology';
import type { ClusterEntry } from '../mirror.ts';
import { aroundMiddle, discRadius, onCircle, outerRadius, type Place, ring } from './layout.ts';

/** The thing under the pointer, for people. */
export interface MapPick {
  readonly title: string;
  readonly text: string;
}

/** The state that the map shows. */
export interface Shown {
  /** Ids of the known gateways; gateways of connections are shown besides. */
  readonly gateways: readonly string[];
  readonly connections: ReadonlyMap<string, Connection>;
  readonly clusters: ReadonlyMap<string, ClusterEntry>;
  /** Ids of the gateways at both ends; both ends report a trunk. */
  readonly trunks: readonly (readonly [string, string])[];
}

/**
 * Most lines between clusters and connections, and between connections and their gateways; if there would be more, only
 * those of the thing under the pointer are drawn.
 */
const MOST_LINES = 300;
/**
 * A peer's radius, px; smaller for more peers than MANY, so that each can be seen, and so small that labels appear only
 * when zoomed in.
 */
const PEER_SIZE = 5;
const MANY = 150;
const LEAST_PEER_SIZE = 1.8;
const COLORS = {
  gateway: '#1f5fbf',
  peer: '#2d8a4e',
  router: '#b86b00',
  cluster: '#8a3fb3',
  trunk: '#1f5fbf',
  line: '#9aa3b2',
  dim: '#c8cdd5',
};

/** If at most so many things are found, each has its label shown. */
const MOST_FOUND_LABELS = 40;
/** Something on the map. */
export interface Thing {
  x: number;
  y: number;
  size: number;
  color: string;
  label: string;
  labels: 'auto' | 'visible' | 'hidden';
  /** Drawing order: a higher level covers a lower one. */
  level: number;
  pick: MapPick;
  /** The words to search in, in lower case. */
  words: string;
  own: string;
}

/** A line between two things. */
export interface Line {
  size: number;
  color: string;
}

/** How a thing looks without a search. */
type Looks = Pick<Thing, 'size' | 'color' | 'label' | 'pick'>;

/**
 * The map as a graph: the places of things, how they look, and which are found. It is rebuilt from the present state,
 * and things keep their places. When a thing or line is dropped, sigma goes through the whole graph; so where some must
 * go, all are cleared at once and the remaining ones added again.
 */
export class MapModel {
  readonly graph = new UndirectedGraph<Thing, Line>();
  /** Place of each connection around its gateway, by gateway: kept as long as the connection exists. */
  readonly #slots = new Map<string, Map<string, number>>();
  #shown: Shown = { gateways: [], connections: new Map(), clusters: new Map(), trunks: [] };
  #wanted = '';
  /** Id of the thing under the pointer. */
  #pointed: string | null = null;
  #found: readonly string[] = [];

  /** Ids of things with the wanted text; without a search none. */
  get found(): readonly string[] {
    return this.#found;
  }

  /** Sets the thing under the pointer, or none. @returns the thing */
  point(id: string | null): MapPick | null {
    this.#pointed = id;
    this.#drawLines();
    return id === null ? null : this.graph.getNodeAttribute(id, 'pick');
  }

  /** Pales the things without the text, in lower case. */
  find(text: string): void {
    this.#wanted = text;
    this.#paint();
  }

  #paint(): void {
    const text = this.#wanted;
    this.#found = text === '' ? [] : this.graph.filterNodes((_, { words }) => words.includes(text));
    const found = new Set(this.#found);
    const labels = found.size > MOST_FOUND_LABELS ? 'auto' : 'visible';
    this.graph.updateEachNodeAttributes((id, thing) => {
      if (text === '') return { ...thing, color: thing.own, labels: 'auto' };
      return found.has(id) ? { ...thing, color: thing.own, labels } : { ...thing, color: COLORS.dim, labels: 'hidden' };
    });
  }

  /** Shows a new state. */
  update(shown: Shown): void {
    this.#shown = shown;
    const { connections, clusters, trunks } = shown;
    const gateways = [
      ...new Set([...shown.gateways, ...[...connections.values()].map(({ gateway }) => gateway)]),
    ].sort();
    const peerSize = Math.max(
      LEAST_PEER_SIZE,
      PEER_SIZE * Math.min(1, Math.sqrt(MANY / Math.max(1, connections.size))),
    );
    const byGateway = Map.groupBy(connections.values(), ({ gateway }) => gateway);
    const largest = discRadius(Math.max(1, ...[...byGateway.values()].map(({ length }) => length)));
    const middles = ring(Math.max(1, gateways.length), largest);
    const { graph } = this;
    const isShown = (id: string): boolean => connections.has(id) || clusters.has(id) || gateways.includes(id);
    if (graph.someNode((id) => !isShown(id))) graph.clear();
    const put = (id: string, thing: Looks & Place): void => {
      const words = `${thing.label} ${thing.pick.title} ${thing.pick.text}`.toLowerCase();
      graph.mergeNode(id, { labels: 'auto', level: thing.size, ...thing, words, own: thing.color });
    };
    for (const [i, gateway] of gateways.entries()) {
      const middle = middles[i] ?? { x: 0, y: 0 };
      const own = byGateway.get(gateway) ?? [];
      const label = printable(gateway);
      const others = trunks.filter(([end]) => end === gateway).map(([, end]) => `, trunk to ${printable(end)}`);
      const pick = { title: `gateway ${label}`, text: `${count(own.length, 'connection')}${others.join('')}` };
      put(gateway, { ...middle, size: 14, color: COLORS.gateway, label, pick });
      const slots = this.#slotsOf(gateway, own);
      for (const connection of own) {
        put(connection.id, {
          ...aroundMiddle(middle, slots.get(connection.id) ?? 0),
          ...looksOf(connection, peerSize),
        });
      }
    }
    const outside = onCircle(clusters.size, outerRadius(Math.max(1, gateways.length), largest));
    for (const [i, { key, cluster, nodes }] of [...clusters.values()].entries()) {
      const label = printableLabel(cluster.key?.peerLabel || cluster.key?.id || '?');
      const pick = { title: clusterText(cluster.key), text: count(nodes.size, 'node') };
      put(key, { ...(outside[i] ?? { x: 0, y: 0 }), size: 9, color: COLORS.cluster, label, pick });
    }
    this.#drawLines();
    this.#paint();
  }

  #drawLines(): void {
    const { graph } = this;
    const { connections, clusters, trunks } = this.#shown;
    const wanted = new Map<string, Line & { readonly a: string; readonly b: string }>();
    const line = (a: string, b: string, size: number, color = COLORS.line): void => {
      if (graph.hasNode(a) && graph.hasNode(b)) wanted.set(`${a} ${b}`, { a, b, size, color });
    };
    // A trunk is one line, even if both of its ends report it.
    for (const [a, b] of trunks) line(a < b ? a : b, a < b ? b : a, 3, COLORS.trunk);
    /** Draws all of the lines, or only those of the thing under the pointer, as many as allowed. */
    const lines = (all: readonly (readonly [string, string])[], size: number): void => {
      const isShown = ([a, b]: readonly [string, string]): boolean => a === this.#pointed || b === this.#pointed;
      const shown = all.length <= MOST_LINES ? all : all.filter(isShown).slice(0, MOST_LINES);
      for (const [a, b] of shown) line(a, b, size);
    };
    lines(
      [...connections.values()].map(({ id, gateway }) => [gateway, id]),
      1,
    );
    const offers = [...clusters.values()].flatMap(({ key, nodes }) =>
      [...nodes.values()].flatMap(({ links }) =>
        [...links.values()].map(({ connection }) => [key, connection] as const),
      ),
    );
    lines(offers, 0.6);
    if (graph.someEdge((id) => !wanted.has(id))) graph.clearEdges();
    for (const [id, { a, b, size, color }] of wanted) {
      if (!graph.hasEdge(id)) graph.addEdgeWithKey(id, a, b, { size, color });
    }
  }

  #slotsOf(gateway: string, own: readonly Connection[]): ReadonlyMap<string, number> {
    const before = this.#slots.get(gateway) ?? new Map<string, number>();
    const kept = new Map(own.flatMap(({ id }) => (before.has(id) ? [[id, before.get(id) ?? 0] as const] : [])));
    const taken = new Set(kept.values());
    let next = 0;
    for (const { id } of own) {
      if (kept.has(id)) continue;
      while (taken.has(next)) next++;
      taken.add(next);
      kept.set(id, next);
    }
    this.#slots.set(gateway, kept);
    return kept;
  }
}

function looksOf({ id, lnkConns, remoteAddress, dialect }: Connection, peerSize: number): Looks {
  const [first] = lnkConns;
  const isRouter = first?.peerType === PeerType.ROUTER;
  const label = printableLabel(first?.label || remoteAddress);
  const type = first === undefined ? '' : peerType(first.peerType);
  const text = [dialectName(dialect), type, label, printable(remoteAddress)].filter(Boolean).join(' ');
  return {
    size: isRouter ? peerSize + 2 : peerSize,
    color: isRouter ? COLORS.router : COLORS.peer,
    label,
    pick: { title: `connection ${printable(id)}`, text },
  };
}
