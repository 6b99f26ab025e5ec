import { UUID_TEXT } from '@spanmesh/dmsg/uuid';
import { expect, it } from 'vitest';
import { bootId, gatewayUuid, hex8 } from './gateway-ids.ts';

it('a boot id is 8 hexadecimal digits, all of them possible', () => {
  expect([0, 0.5, 1 - 2 ** -32, 2 ** -32 * 1.9].map(bootId)).toEqual(['00000000', '80000000', 'ffffffff', '00000001']);
  expect([hex8(0xa), hex8(0xffff_ffff)]).toEqual(['0000000a', 'ffffffff']);
});

it('the node id of a gateway is a UUID of version 8, another for each id', () => {
  const [one, other] = [gatewayUuid('gw.00000001'), gatewayUuid('gw.00000002')];
  expect(one).toMatch(UUID_TEXT);
  expect(one).toMatch(/^.{14}8.{4}8/);
  expect(other).not.toBe(one);
  // Of the 32 digits, 30 are of the hash of the id.
  expect(one).toBe('3e81076f-a29b-88de-8cdf-c87336a4f76c');
});
