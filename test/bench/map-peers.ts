import { CREATE, GeneratorPeer, SPAN, spanBody } from './generator-peer.ts';

/** Clusters that the peers' nodes are in. */
const CLUSTERS = 12;
const FIRST_SPAN = 0x10000;

/**
 * Connects so many circuit peers, `peer 1` and on, each of which offers a node, and takes none: what a map of many peers needs, without a
 * relay from everybody to everybody.
 */
export async function openMapPeers(port: number, peers: number): Promise<GeneratorPeer[]> {
  const all: GeneratorPeer[] = [];
  for (let n = 1; n <= peers; n++) {
    const peer = await GeneratorPeer.open(port, 'circuit', `peer ${n}`, () => {}, { takes: 'nothing' });
    const body = spanBody('circuit', n);
    body[1] = n % CLUSTERS;
    peer.send(SPAN | CREATE, FIRST_SPAN, 0, 0, 0, 0, body, 0);
    peer.flush();
    all.push(peer);
  }
  return all;
}
