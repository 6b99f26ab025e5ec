import { readSettings } from '@spanmesh/runtime/settings/setting';
import { expect, it } from 'vitest';
import { MAX_TOPOLOGY_ADDRESSES } from './limits.ts';
import { settings } from './process.ts';

// Limits: link-gateway/src/limits.ts MAX_TOPOLOGY_ADDRESSES
it('a gateway takes at most 16 addresses of topology', () => {
  const read = (addresses: number) => {
    const SPANMESH_TOPOLOGY_ADDRESS = Array.from({ length: addresses }, (_, n) => `192.0.2.${n}:1`).join();
    return readSettings(settings, { env: { SPANMESH_TOPOLOGY_ADDRESS }, flags: {} }).topologyAddresses;
  };
  expect(read(MAX_TOPOLOGY_ADDRESSES)).toHaveLength(16);
  expect(() => read(MAX_TOPOLOGY_ADDRESSES + 1)).toThrow('must have at most 16 values');
});
