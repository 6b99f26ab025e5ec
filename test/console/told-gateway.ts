import { once } from 'node:events';
import { credentials } from '@grpc/grpc-js';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { GatewayControlClient, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { ConnectionOrigin, Dialect } from '@spanmesh/proto/v1/types';
import { spanPayload, uuid } from '@spanmesh/topology/testing/payloads.fixture';

/** Peers in one part of the snapshot. */
const PART = 500;
/** The numbers of connections begin with 1, those of LNK_CONNs and links after these constants. */
const LNK_CONN = 100_000;
const LINK = 200_000;

/**
 * Attaches an invented gateway to topology, with so many peers, named `peer 1` and so on. Each peer offers a node and
 * asks for no spans. The peers exist in the gateway's snapshot only, without sockets.
 * @returns a function that ends the gateway
 */
export async function attachTold(serviceAddress: string, name: string, peers: number): Promise<() => void> {
  const client = new GatewayControlClient(serviceAddress, credentials.createInsecure());
  const stream = client.attach();
  const about = { installation: 'spanmesh', gatewaysKnown: [], serviceAddress: '', capabilities: [] };
  stream.write({ hello: { name, boot: '00000001', highestEpoch: 0, version: '1', protocolVersion: 1, ...about } });
  await once(stream, 'data');
  stream.on('data', () => {});
  for (let first = 1; first <= peers; first += PART) {
    stream.write({ snapshot: toldOf(first, Math.min(peers, first + PART - 1)) });
  }
  stream.write({ snapshotEnd: {} });
  return () => {
    stream.on('error', () => {});
    stream.cancel();
    client.close();
  };
}

function toldOf(first: number, last: number): StateChange {
  const change = StateChange.create();
  for (let n = first; n <= last; n++) {
    change.connectionsOpened.push({
      id: n,
      closing: '',
      dialect: Dialect.DIALECT_CIRCUIT,
      remoteAddress: `192.0.2.1:${10_000 + n}`,
      localAddress: '192.0.2.9:987',
      origin: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
      owner: '',
      generation: 0,
      sinceUs: n,
      suspect: false,
      principal: '192.0.2.1',
    });
    change.lnkConnsOpened.push({ id: LNK_CONN + n, connection: n, payload: lnkConnPayload(n) });
    const msgid = { msgidLo: n, msgidHi: 1 };
    change.linksOpened.push({
      id: LINK + n,
      connection: n,
      payload: spanPayload('circuit', n, 0),
      stamp: n,
      sinceUs: n,
      ...msgid,
    });
  }
  change.lastNumber = LINK + last;
  return change;
}

function lnkConnPayload(n: number): Buffer {
  const payload = Buffer.alloc(lnkConnBytes('circuit'));
  const asks = { peerMaskLo: 0, peerMaskHi: 0, peerType: 3, pfsType: 0, protoVersion: 1, status: 0 };
  const fields = { ...asks, mediaId: uuid(n), clusterId: uuid(1), label: `peer ${n}` };
  encodeLnkConn({ dialect: 'circuit', ...fields }, payload, 0);
  return payload;
}
