import { describe, expect, it } from 'vitest';
import { Dialect } from '../gen/spanmesh/v1/types.ts';
import { clusterKeyFault, nodeSelectorFault } from './cluster-key.ts';

const id = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';
const cluster = (fields: { peerType?: number; peerLabel?: string }) => ({
  dialect: Dialect.DIALECT_CIRCUIT,
  id,
  peerType: 0,
  peerLabel: '',
  ...fields,
});

describe('a key', () => {
  // Limits: proto/src/cluster-key.ts MAX_LABEL_CHARS
  it('has a label of 127 characters at most, all of them bytes of the wire', () => {
    expect(clusterKeyFault(cluster({ peerLabel: 'x'.repeat(127) }))).toBeNull();
    expect(clusterKeyFault(cluster({ peerLabel: 'x'.repeat(128) }))).toContain('127');
    expect(clusterKeyFault(cluster({ peerLabel: '\u00ff\u0001' }))).toBeNull();
    for (const peerLabel of ['\u0100', '\0']) expect(clusterKeyFault(cluster({ peerLabel }))).toContain('U+0001');
  });

  // Limits: proto/src/cluster-key.ts MAX_PEER_TYPE
  it('has a peer type of 63 at most', () => {
    expect(clusterKeyFault(cluster({ peerType: 63 }))).toBeNull();
    expect(clusterKeyFault(cluster({ peerType: 64 }))).toContain('63');
    // Keys in linkid have no peer type.
    expect(clusterKeyFault({ ...cluster({ peerType: 64 }), dialect: Dialect.DIALECT_LINKID })).toBeNull();
  });

  // Limits: proto/src/cluster-key.ts MAX_SELECTOR_CHARS
  it('is selected by a name of 255 characters at most', () => {
    const selector = (node: string) => ({ key: undefined, dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', node });
    expect(nodeSelectorFault(selector('x'.repeat(255)))).toBeNull();
    expect(nodeSelectorFault(selector('x'.repeat(256)))).toContain('255');
    expect(nodeSelectorFault(selector(''))).toContain('Name a node');
  });
});
