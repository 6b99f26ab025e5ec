import { describe, expect, it } from 'vitest';
import { gatewaySettings } from '../settings.ts';
import { hostLabel } from './host-name.ts';

describe('the name of a host as that of a gateway', () => {
  // Limits: entrance/host-name.ts MAX_NAME
  it.each([
    ['0123456789ab', '0123456789ab'],
    ['Disks.example.org', 'disks'],
    ['my_old__host', 'my-old-host'],
    ['_', 'gateway'],
    ['', 'gateway'],
    [`${'a'.repeat(62)}.b`, 'a'.repeat(62)],
    [`${'a'.repeat(62)}_b`, 'a'.repeat(62)],
    ['a'.repeat(63), 'a'.repeat(63)],
    ['a'.repeat(64), 'a'.repeat(63)],
  ])('%j is %j', (host, label) => {
    expect(hostLabel(host)).toBe(label);
    expect(gatewaySettings.name.parse(label)).toBe(label);
  });

  it('is what an empty setting means', () => {
    expect(gatewaySettings.name.parse('')).toBe(hostLabel());
  });
});
