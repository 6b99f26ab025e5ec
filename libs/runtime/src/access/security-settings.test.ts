import { expect, it } from 'vitest';
import { readSettings } from '../settings/setting.ts';
import { securitySettings } from './security-settings.ts';

/** PATH_MAX of Linux. */
const LONGEST_PATH = 4096;

// Limits: access/security-settings.ts MAX_PATH_CHARS
it('a path is at most as long as the system takes', () => {
  const read = (path: string) => readSettings(securitySettings, { env: { SPANMESH_TLS_CA: path }, flags: {} }).tlsCa;
  const longest = `/${'x'.repeat(LONGEST_PATH - 1)}`;
  expect(read(longest)).toBe(longest);
  expect(() => read(`${longest}x`)).toThrow(/^SPANMESH_TLS_CA: .*must have at most 4096 characters/);
});

it('by default nothing is secured, and nothing is open to everybody', () => {
  expect(readSettings(securitySettings, { env: {}, flags: {} })).toEqual({
    tlsCa: '',
    tlsCert: '',
    tlsKey: '',
    apiTlsCert: '',
    apiTlsKey: '',
    apiTlsCa: '',
    apiTokensFile: '',
    insecure: false,
  });
});
