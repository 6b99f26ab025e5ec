import { readSettings, SettingError } from '@spanmesh/runtime/settings/setting';
import { describe, expect, it } from 'vitest';
import { settings } from './process.ts';
import { gatewaySettings, parseDmsgListen } from './settings.ts';

describe('the settings of a gateway', () => {
  it('have valid defaults', () => {
    expect(readSettings(gatewaySettings, { env: {}, flags: {} })).toMatchObject({
      dmsgListen: [{ host: '127.0.0.1', port: 9987, dialect: null }],
      defaultDialect: 'circuit',
      dialectTimeout: 2_000,
      silentTimeout: 60_000,
      idleProbe: 0,
      stallTimeout: 10_000,
      sendLimit: 16 * 1024 * 1024,
    });
  });

  it('have distinct names', () => {
    const all = Object.values(gatewaySettings);
    expect(new Set(all.map(({ env }) => env)).size).toBe(all.length);
    expect(new Set(all.map(({ flag }) => flag)).size).toBe(all.length);
  });

  it.each([
    ['linkid://127.0.0.1:987', { host: '127.0.0.1', port: 987, dialect: 'linkid' }],
    ['circuit://[::1]:0', { host: '::1', port: 0, dialect: 'circuit' }],
    ['localhost:1', { host: 'localhost', port: 1, dialect: null }],
  ])('read %s', (written, listen) => {
    expect(parseDmsgListen(written)).toEqual(listen);
  });

  it.each(['http://127.0.0.1:987', 'linkid://', '127.0.0.1', 'circuit:127.0.0.1:987', ''])(
    'do not read %j',
    (written) => {
      expect(() => parseDmsgListen(written)).toThrow();
    },
  );

  it('may name several addresses of topology', () => {
    const flags = { '--topology-address': '127.0.0.1:1, [::1]:2' };
    const { topologyAddresses } = readSettings(settings, { env: {}, flags });
    expect(topologyAddresses).toEqual([
      { host: '127.0.0.1', port: 1 },
      { host: '::1', port: 2 },
    ]);
  });

  it('are named in the error when they are wrong', () => {
    const env = { SPANMESH_DMSG_LISTEN: '127.0.0.1:1,nonsense' };
    const read = () => readSettings(gatewaySettings, { env, flags: {} });
    expect(read).toThrow(SettingError);
    expect(read).toThrow(/^SPANMESH_DMSG_LISTEN: /);
  });

  /** The value of a setting that is written so. */
  const read = (env: string, written: string): unknown => {
    const name = Object.entries(gatewaySettings).find(([, one]) => one.env === env)?.[0];
    const values: Record<string, unknown> = readSettings(gatewaySettings, { env: { [env]: written }, flags: {} });
    return name === undefined ? undefined : values[name];
  };

  it('are otherwise as the documents say', () => {
    expect(readSettings(gatewaySettings, { env: {}, flags: {} })).toMatchObject({
      name: 'gateway',
      reusePort: false,
      serviceAddress: '',
      trunkListen: { host: '127.0.0.1', port: 0 },
      probeTimeout: 5_000,
      connectTimeout: 5_000,
      onDemandIdle: 30_000,
      consolidateReads: [],
      stopTimeout: 5_000,
      maxConnections: 20_000,
      maxConnectionsPerAddress: 10_000,
      maxLinks: 100_000,
      maxLnkConns: 64,
      maxTransactions: 200_000,
    });
  });

  it.each([
    'SPANMESH_DIALECT_TIMEOUT',
    'SPANMESH_SILENT_TIMEOUT',
    'SPANMESH_PROBE_TIMEOUT',
    'SPANMESH_CONNECT_TIMEOUT',
    'SPANMESH_STALL_TIMEOUT',
    'SPANMESH_ON_DEMAND_IDLE',
  ])('%s is 1 ms at least', (env) => {
    expect(read(env, '1ms')).toBe(1);
    expect(() => read(env, '0')).toThrow(SettingError);
  });

  it.each(['SPANMESH_IDLE_PROBE', 'SPANMESH_STOP_TIMEOUT'])('%s may be 0', (env) => {
    expect(read(env, '0')).toBe(0);
  });

  it.each([
    ['SPANMESH_MAX_CONNECTIONS', 1, 2 ** 31],
    ['SPANMESH_MAX_CONNECTIONS_PER_ADDRESS', 1, 2 ** 31],
    ['SPANMESH_MAX_LINKS_PER_CONNECTION', 1, 2 ** 31],
    ['SPANMESH_MAX_LNK_CONNS_PER_CONNECTION', 1, 2 ** 31],
    ['SPANMESH_MAX_TRANSACTIONS', 1, 2 ** 31],
    ['SPANMESH_SEND_LIMIT', 4096, 2 ** 32],
  ])('%s is from %i to %i', (env, min, max) => {
    expect([read(env, `${min}`), read(env, `${max}`)]).toEqual([min, max]);
    for (const wrong of [min - 1, max + 1]) expect(() => read(env, `${wrong}`)).toThrow(SettingError);
  });

  it('have a name that can be a part of ids; without one that of the host', () => {
    for (const name of ['a', 'gw-1', 'x'.repeat(63)]) expect(read('SPANMESH_GATEWAY_NAME', name)).toBe(name);
    for (const wrong of ['x'.repeat(64), '-a', 'a-', 'A', 'a.b']) {
      expect(() => read('SPANMESH_GATEWAY_NAME', wrong)).toThrow(SettingError);
    }
    expect(() => read('SPANMESH_GATEWAY_NAME', 'A')).toThrow('must be made of a-z, 0-9 and -');
    expect(read('SPANMESH_GATEWAY_NAME', '')).toMatch(/^[a-z0-9-]+$/);
  });

  it('have the ids of clusters in lower case, 64 at most, as of the addresses for peers', () => {
    const ids = (count: number) =>
      Array.from({ length: count }, (_, n) => `0B8F1A52-6C3D-11E4-8A21-${String(n).padStart(12, '0')}`);
    expect(read('SPANMESH_CONSOLIDATE_READS', ids(1).join())).toEqual(ids(1).map((id) => id.toLowerCase()));
    expect(read('SPANMESH_CONSOLIDATE_READS', ids(64).join())).toHaveLength(64);
    expect(() => read('SPANMESH_CONSOLIDATE_READS', ids(65).join())).toThrow(SettingError);
    expect(() => read('SPANMESH_CONSOLIDATE_READS', 'x')).toThrow('must be a UUID');
    const listens = (count: number) => Array.from({ length: count }, (_, n) => `127.0.0.1:${n + 1}`).join();
    expect(read('SPANMESH_DMSG_LISTEN', listens(64))).toHaveLength(64);
    expect(() => read('SPANMESH_DMSG_LISTEN', listens(65))).toThrow(SettingError);
    expect(read('SPANMESH_GATEWAY_SERVICE_ADDRESS', 'x'.repeat(300))).toHaveLength(300);
    expect(() => read('SPANMESH_GATEWAY_SERVICE_ADDRESS', 'x'.repeat(301))).toThrow(SettingError);
    expect(read('SPANMESH_DMSG_REUSE_PORT', 'true')).toBe(true);
    expect(() => read('SPANMESH_DEFAULT_DIALECT', 'other')).toThrow(SettingError);
  });
});
