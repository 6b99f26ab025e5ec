import { CREATE, GeneratorPeer, SPAN, spanBody } from './generator-peer.ts';

/** Number of clusters that the peers' nodes belong to. */
const CLUSTERS = 12;
const FIRST_SPAN = 0x10000;
/** Number of connections that are made side by side. */
const AT_ONCE = 100;

/**
 * Connects this many circuit peers (`peer 1` and so on), each with a span of its own node. They ask for no spans, so a
 * map of many peers needs no relays between them.
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
