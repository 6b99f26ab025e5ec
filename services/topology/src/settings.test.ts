import { readSettings } from '@spanmesh/runtime/settings/setting';
import { describe, expect, it } from 'vitest';
import { rnssAdd, settings, sharedSettings } from './settings.ts';

const read = (env: Record<string, string> = {}) => readSettings(settings, { env, flags: {} });

describe('settings of topology', () => {
  it('have defaults', () => {
    expect(read()).toEqual({
      linkidWidth: 2,
      circuitWidth: 1,
      installation: 'spanmesh',
      rnss: null,
      leaseTtlMs: 2000,
    });
  });

  // Limits: topology/src/settings.ts MAX_WIDTH
  it.each([
    ['SPANMESH_LINKID_WIDTH', '1', '64', ['0', '65']],
    ['SPANMESH_CIRCUIT_WIDTH', '1', '64', ['0', '65']],
    ['SPANMESH_RNSS', '0', '4294967295', ['-1', '4294967296']],
    ['SPANMESH_LEASE_TTL', '400ms', '60s', ['399ms', '60001ms']],
  ])('%s is from %s to %s', (name, least, most, outside) => {
    for (const value of [least, most]) expect(() => read({ [name]: value })).not.toThrow();
    for (const value of outside) expect(() => read({ [name]: value })).toThrow(name);
  });
});

describe('the rnss that relays add', () => {
  it('is the setting, or follows from the name of the installation, for every replica and version the same', () => {
    expect(rnssAdd({ rnss: 7, installation: 'spanmesh' })).toBe(7);
    expect(rnssAdd({ rnss: 0, installation: 'spanmesh' })).toBe(0);
    const derived = rnssAdd({ rnss: null, installation: 'spanmesh' });
    expect(derived).toBe(3_538_963_277);
    expect(rnssAdd({ rnss: null, installation: 'other' })).not.toBe(derived);
  });

  it('is one of the settings that must be equal at all replicas', () => {
    expect(sharedSettings({ ...read(), rnss: 7 })).toBe('linkid-width=2 circuit-width=1 rnss=7');
  });
});
