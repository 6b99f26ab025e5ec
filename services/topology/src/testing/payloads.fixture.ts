import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { encodeLnkSpan, LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import type { Dialect } from '@spanmesh/spantree/tree';

export const uuid = (n: number): string => `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`;

/** A LNK_CONN that accepts all spans. Those with the same `identity` look like the same peer. */
export function lnkConnPayload(dialect: Dialect, identity: number): Buffer {
  const payload = Buffer.alloc(lnkConnBytes(dialect));
  encodeLnkConn(
    {
      dialect,
      mediaId: uuid(identity),
      clusterId: uuid(1),
      peerMaskLo: 0xffffffff,
      peerMaskHi: 0xffffffff,
      peerType: 1,
      pfsType: 0,
      protoVersion: 1,
      status: 0,
      label: `peer${identity}`,
    },
    payload,
    0,
  );
  return payload;
}

export function spanPayload(dialect: Dialect, node: number, dist: number): Buffer {
  const payload = Buffer.alloc(LNK_SPAN_BYTES);
  encodeLnkSpan(
    {
      dialect,
      clusterId: uuid(1),
      nodeId: uuid(node),
      pfsType: 4,
      peerType: 1,
      protoVersion: 1,
      status: 0,
      dist,
      rnss: 0,
      mediaBlksize: 0,
      peerLabel: dialect === 'circuit' ? 'cluster' : '',
      label: `node${node}`,
    },
    payload,
    0,
  );
  return payload;
}
