import { readSettings } from '@spanmesh/runtime/settings/setting';
import { describe, expect, it } from 'vitest';
import { settings } from './settings.ts';

const read = (env: Record<string, string> = {}) => readSettings(settings, { env, flags: {} });

describe('settings of volconf', () => {
  it('have defaults', () => {
    expect(read()).toEqual({
      volconfPolicy: 'all',
      autoconnFile: '',
      volconfPort: 987,
      volconfConnectTimeout: 5000,
      volconfAnswerTimeout: 10_000,
      volconfRetryFirst: 1000,
      volconfRetryMax: 60_000,
      volconfStableAfter: 60_000,
      volconfMaxDials: 256,
      volconfMaxSlots: 65_536,
      volconfLeaseTtl: 2000,
    });
  });

  it.each([
    ['SPANMESH_VOLCONF_PORT', '1', '65535', ['0', '65536']],
    ['SPANMESH_VOLCONF_CONNECT_TIMEOUT', '1ms', '600s', ['0', '600001ms']],
    ['SPANMESH_VOLCONF_ANSWER_TIMEOUT', '0', '600s', ['600001ms']],
    ['SPANMESH_VOLCONF_RETRY_FIRST', '1ms', '1h', ['0']],
    ['SPANMESH_VOLCONF_RETRY_MAX', '1ms', '1h', ['0']],
    ['SPANMESH_VOLCONF_MAX_DIALS', '1', '100000', ['0', '100001']],
    ['SPANMESH_VOLCONF_MAX_SLOTS', '1', '10000000', ['0', '10000001']],
    ['SPANMESH_VOLCONF_LEASE_TTL', '400ms', '60s', ['399ms', '60001ms']],
    ['SPANMESH_AUTOCONN_FILE', 'f', 'f'.repeat(4096), ['f'.repeat(4097)]],
    ['SPANMESH_VOLCONF_POLICY', 'all', 'priority', ['some']],
  ])('%s is from %s to %s', (name, least, most, outside) => {
    for (const value of [least, most]) expect(() => read({ [name]: value })).not.toThrow();
    for (const value of outside) expect(() => read({ [name]: value })).toThrow(name);
  });
});
