import { printableLabel } from '@spanmesh/ctl/output/label';
import { printable } from '@spanmesh/ctl/output/printable';
import { idOf } from '@spanmesh/ctl/status/gateway-name';
import { clusterText, count, dialectName, peerType } from '@spanmesh/ctl/views/words';
import { PeerType } from '@spanmesh/dmsg/names';
import type { Connection } from '@spanmesh/proto/v1/types';
import { UndirectedGraph } from 'graphology';
import Sigma from 'sigma';
import type { StylesDeclaration } from 'sigma/types';
import { clusters, connections } from '../mirror.ts';
import { status } from '../status.ts';
import { aroundMiddle, discRadius, onCircle, outerRadius, ring } from './layout.ts';

/** What somebody points at. */
export interface MapPick {
  readonly title: string;
  readonly text: string;
}

/** Lines between clusters and connections, at most: more are only shown of what is pointed at. */
const MOST_LINES = 1500;
const COLORS = {
  gateway: '#1f5fbf',
  peer: '#2d8a4e',
  router: '#b86b00',
  cluster: '#8a3fb3',
  line: '#9aa3b2',
  dim: '#c8cdd5',
};

interface Thing {
  x: number;
  y: number;
  size: number;
  color: string;
  label: string;
  pick: MapPick;
  /** Lower case, to be found by. */
  words: string;
  own: string;
}

/** The map as it is drawn; the graph is made anew from what is known, and places stay. */
export class DrawnMap {
  readonly #graph = new UndirectedGraph();
  readonly #sigma: Sigma;
  /** Place of each connection around its gateway, by gateway: kept for as long as it is there. */
  readonly #slots = new Map<string, Map<string, number>>();
  #wanted = '';

  constructor(box: HTMLElement, pick: (pick: MapPick | null) => void) {
    this.update();
    const labelColor = getComputedStyle(box).color;
    this.#sigma = new Sigma(this.#graph, box, { settings: SETTINGS, styles: stylesOf(labelColor) });
    this.#sigma.on('enterNode', ({ node }) => pick(this.#graph.getNodeAttribute(node, 'pick')));
    this.#sigma.on('clickNode', ({ node }) => pick(this.#graph.getNodeAttribute(node, 'pick')));
    this.#sigma.on('leaveNode', () => pick(null));
  }

  close(): void {
    this.#sigma.kill();
  }

  reset(): void {
    void this.#sigma.getCamera().animate({ x: 0.5, y: 0.5, ratio: 1, angle: 0 }, { duration: 150 });
  }

  zoom(factor: number): void {
    const camera = this.#sigma.getCamera();
    void camera.animate({ ratio: camera.getState().ratio * factor }, { duration: 150 });
  }

  /** Shows what has the text in it, and pales the rest. */
  find(text: string): void {
    this.#wanted = text;
    this.#graph.updateEachNodeAttributes((_, attributes) => {
      const thing = attributes as Thing;
      const isFound = text === '' || thing.words.includes(text);
      return { ...thing, color: isFound ? thing.own : COLORS.dim };
    });
  }

  /** Takes over what is known now. */
  update(): void {
    const gateways = gatewayNames();
    const byGateway = Map.groupBy(connections.values(), ({ gateway }) => gateway);
    const largest = discRadius(Math.max(1, ...[...byGateway.values()].map(({ length }) => length)));
    const middles = ring(Math.max(1, gateways.length), largest);
    const wanted = new Set<string>();
    const put = (id: string, thing: Omit<Thing, 'words' | 'own'>): void => {
      wanted.add(id);
      const words = `${thing.label} ${thing.pick.title} ${thing.pick.text}`.toLowerCase();
      const isFound = this.#wanted === '' || words.includes(this.#wanted);
      this.#graph.mergeNode(id, { ...thing, words, own: thing.color, color: isFound ? thing.color : COLORS.dim });
    };
    for (const [i, gateway] of gateways.entries()) {
      const middle = middles[i] ?? { x: 0, y: 0 };
      const own = byGateway.get(gateway) ?? [];
      const label = printable(gateway);
      const pick = { title: `gateway ${label}`, text: count(own.length, 'connection') };
      put(gateway, { ...middle, size: 14, color: COLORS.gateway, label, pick });
      const slots = this.#slotsOf(gateway, own);
      for (const connection of own) {
        put(connection.id, { ...aroundMiddle(middle, slots.get(connection.id) ?? 0), ...looksOf(connection) });
      }
    }
    const outside = onCircle(clusters.size, outerRadius(Math.max(1, gateways.length), largest));
    for (const [i, { key, cluster, nodes }] of [...clusters.values()].entries()) {
      const label = printableLabel(cluster.key?.peerLabel || cluster.key?.id || '?');
      const pick = { title: clusterText(cluster.key), text: count(nodes.size, 'node') };
      put(key, { ...(outside[i] ?? { x: 0, y: 0 }), size: 9, color: COLORS.cluster, label, pick });
    }
    for (const id of this.#graph.nodes()) if (!wanted.has(id)) this.#graph.dropNode(id);
    this.#drawLines();
  }

  #drawLines(): void {
    const wanted = new Set<string>();
    const line = (a: string, b: string, size: number): void => {
      const id = `${a} ${b}`;
      if (wanted.has(id) || !this.#graph.hasNode(a) || !this.#graph.hasNode(b)) return;
      wanted.add(id);
      if (!this.#graph.hasEdge(id)) this.#graph.addEdgeWithKey(id, a, b, { size, color: COLORS.line });
    };
    for (const { id, gateway } of connections.values()) line(gateway, id, 1);
    const offers = [...clusters.values()].flatMap(({ key, nodes }) =>
      [...nodes.values()].flatMap(({ links }) =>
        [...links.values()].map(({ connection }) => [key, connection] as const),
      ),
    );
    if (offers.length <= MOST_LINES) for (const [cluster, connection] of offers) line(cluster, connection, 0.6);
    for (const id of this.#graph.edges()) if (!wanted.has(id)) this.#graph.dropEdge(id);
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

const SETTINGS = {
  allowInvalidContainer: true,
  itemSizesReference: 'screen',
  labelDensity: 0.7,
  labelRenderedSizeThreshold: 5,
  hideEdgesOnMove: true,
  enableCameraRotation: false,
  gestureTarget: 'graph',
} as const;

function stylesOf(labelColor: string): StylesDeclaration {
  return {
    nodes: [
      {
        x: { attribute: 'x' },
        y: { attribute: 'y' },
        size: { attribute: 'size' },
        color: { attribute: 'color' },
        label: { attribute: 'label' },
        labelColor,
      },
    ],
    edges: [{ size: { attribute: 'size' }, color: { attribute: 'color' } }],
  };
}

/** Those that topology knows, and those that connections are on. */
function gatewayNames(): string[] {
  const known = status.value?.topology.gateways.map(idOf) ?? [];
  const named = [...connections.values()].map(({ gateway }) => gateway);
  return [...new Set([...known, ...named])].sort();
}

function looksOf({ id, lnkConns, remoteAddress, dialect }: Connection): Omit<Thing, 'x' | 'y' | 'words' | 'own'> {
  const [first] = lnkConns;
  const isRouter = first?.peerType === PeerType.ROUTER;
  const label = printableLabel(first?.label || remoteAddress);
  const type = first === undefined ? '' : peerType(first.peerType);
  const text = [dialectName(dialect), type, label, printable(remoteAddress)].filter(Boolean).join(' ');
  return {
    size: isRouter ? 7 : 5,
    color: isRouter ? COLORS.router : COLORS.peer,
    label,
    pick: { title: `connection ${printable(id)}`, text },
  };
}
