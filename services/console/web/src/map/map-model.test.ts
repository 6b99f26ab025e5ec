import { Cluster, Connection, LnkConn, Node } from '@spanmesh/proto/v1/types';
import { describe, expect, it } from 'vitest';
import type { ClusterEntry } from '../mirror.ts';
import { MapModel, type Shown } from './map-model.ts';

const GATEWAYS = ['east.1', 'west.1'];

/** `peer N` on this gateway. */
function peer(n: number, gateway: string): [string, Connection] {
  const id = `${gateway}:${n}`;
  const lnkConns = [LnkConn.fromPartial({ id: `${id}-c`, label: `peer ${n}`, peerType: 3 })];
  return [id, Connection.fromPartial({ id, gateway, remoteAddress: `192.0.2.1:${n}`, lnkConns })];
}

/** One cluster with a node of each of the connections. */
function cluster(label: string, connections: Iterable<string>): [string, ClusterEntry] {
  const nodes = [...connections].map((connection, n) => {
    const link = { id: `${connection}-l`, connection };
    return [`${n}`, { key: `${n}`, node: Node.create(), links: new Map([[link.id, link]]) }] as const;
  });
  const entry = { key: label, cluster: Cluster.fromPartial({ key: { peerLabel: label } }), nodes: new Map(nodes) };
  return [label, entry as ClusterEntry];
}

/** So many peers, alternately at the two gateways. */
function shown(peers: number): Shown {
  const connections = new Map(Array.from({ length: peers }, (_, n) => peer(n + 1, GATEWAYS[n % 2] ?? '')));
  const clusters = new Map([cluster('tank', connections.keys()), cluster('pool', [])]);
  return { gateways: ['lone.1'], connections, clusters, trunks: [['east.1', 'west.1']] };
}

describe('the map of 5,000 peers', () => {
  const peers = 5000;
  const all = shown(peers);
  const model = new MapModel();
  model.update(all);
  const { graph } = model;

  it('has all of them, the gateways, even one without connections, and the clusters', () => {
    expect(graph.order).toBe(peers + 3 + 2);
    expect(graph.getNodeAttribute('east.1', 'pick')).toEqual({
      title: 'gateway east.1',
      text: '2500 connections, trunk to west.1',
    });
    expect(graph.getNodeAttribute('lone.1', 'pick').text).toBe('0 connections');
    expect(graph.getNodeAttribute('tank', 'pick').text).toBe('5000 nodes');
  });

  it('has no two things in one place', () => {
    const places = graph.mapNodes((_, { x, y }) => ({ x, y })).sort((a, b) => a.x - b.x);
    let nearest = Number.POSITIVE_INFINITY;
    for (const [i, { x, y }] of places.entries()) {
      for (let next = i + 1; next < places.length; next++) {
        const other = places[next];
        if (other === undefined || other.x - x >= nearest) break;
        nearest = Math.min(nearest, Math.hypot(other.x - x, other.y - y));
      }
    }
    // In an evenly filled disc the distance of neighbours is about 1.8.
    expect(nearest).toBeGreaterThan(1);
  });

  it('draws few lines: the trunk, and those of the thing under the pointer', () => {
    expect(graph.edges()).toEqual(['east.1 west.1']);
    expect(model.point('west.1:4712')).toEqual({
      title: 'connection west.1:4712',
      text: expect.stringContaining('peer 4712'),
    });
    expect(graph.edges().sort()).toEqual(['east.1 west.1', 'tank west.1:4712', 'west.1 west.1:4712']);
    model.point('east.1');
    expect(graph.size).toBe(1 + 300);
    expect(model.point(null)).toBeNull();
    expect(graph.size).toBe(1);
  });

  it('highlights one that is found, pales the others, and restores all when the search ends', () => {
    const before = graph.export();
    model.find('peer 4711');
    expect(model.found).toEqual(['east.1:4711']);
    const [found, other] = ['east.1:4711', 'west.1:4712'].map((id) => graph.getNodeAttributes(id));
    expect([found?.color === found?.own, found?.labels]).toEqual([true, 'visible']);
    expect([other?.color === other?.own, other?.labels]).toEqual([false, 'hidden']);
    model.find('peer');
    expect(model.found).toHaveLength(peers);
    model.find('nobody is called so');
    expect(model.found).toEqual([]);
    model.find('');
    expect(graph.export()).toEqual(before);
  });

  it('never removes things one by one, for which the renderer would go through all of them each time', () => {
    const dropped: string[] = [];
    graph.on('nodeDropped', ({ key }) => dropped.push(key)).on('edgeDropped', ({ key }) => dropped.push(key));
    const before = graph.export();
    model.point('east.1');
    model.point(null);
    model.update({ ...all, connections: new Map([...all.connections].slice(1000)) });
    expect(graph.order).toBe(before.nodes.length - 1000);
    model.update(all);
    expect(graph.order).toBe(before.nodes.length);
    expect(dropped).toEqual([]);
  });

  it('keeps all places when some peers go and others come, and the found ones highlighted', () => {
    const placeOf = (id: string) => {
      const { x, y } = graph.getNodeAttributes(id);
      return { x, y };
    };
    const [gone, stays] = ['east.1:1', 'east.1:4711'];
    const [free, kept] = [placeOf(gone), placeOf(stays)];
    model.find('peer 5001');
    const connections = new Map(all.connections);
    connections.delete(gone);
    connections.set(...peer(5001, 'east.1'));
    model.update({ ...all, connections });
    expect(graph.hasNode(gone)).toBe(false);
    expect(placeOf(stays)).toEqual(kept);
    expect(placeOf('east.1:5001')).toEqual(free);
    expect(model.found).toEqual(['east.1:5001']);
  });
});

it('has a line to each of a few peers, and to its clusters', () => {
  const model = new MapModel();
  model.update(shown(100));
  expect(model.graph.size).toBe(1 + 100 + 100);
});
