import { CREATE, GeneratorPeer, SPAN, spanBody } from './generator-peer.ts';

/** Clusters that the peers' nodes are in. */
const CLUSTERS = 12;
const FIRST_SPAN = 0x10000;
/** Connections that are made at one time. */
const AT_ONCE = 100;

/**
 * Connects so many circuit peers, `peer 1` and on, each of which offers a node, and takes none: what a map of many peers needs, without a
 * relay from everybody to everybody.
 */
export async function openMapPeers(port: number, peers: number): Promise<GeneratorPeer[]> {
  const all: GeneratorPeer[] = [];
  while (all.length < peers) {
    const batch = Math.min(AT_ONCE, peers - all.length);
    const first = all.length + 1;
    all.push(...(await Promise.all(Array.from({ length: batch }, (_, i) => openMapPeer(port, first + i)))));
  }
  return all;
}

async function openMapPeer(port: number, n: number): Promise<GeneratorPeer> {
  const peer = await GeneratorPeer.open(port, 'circuit', `peer ${n}`, () => {}, { takes: 'nothing' });
  const body = spanBody('circuit', n);
  body[1] = n % CLUSTERS;
  peer.send(SPAN | CREATE, FIRST_SPAN, 0, 0, 0, 0, body, 0);
  peer.flush();
  return peer;
}
