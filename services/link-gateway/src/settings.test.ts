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
});
