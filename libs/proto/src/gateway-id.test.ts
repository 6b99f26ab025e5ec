import { expect, it } from 'vitest';
import { gatewayId, gatewayName, isGatewayName, nameOf, splitId } from './gateway-id.ts';

const GW = { name: 'gw-1', boot: '0123abcd' };

it('an id is made of a name and a boot id, and can be taken apart again', () => {
  expect(gatewayId(GW)).toBe('gw-1.0123abcd');
  expect(gatewayName('gw-1.0123abcd')).toEqual(GW);
});

it.each(['gw', 'gw.', '.0123abcd', 'gw.0123ABCD', 'gw.0123abc', 'gw.a.0123abcd', '-gw.0123abcd', 'Gw.0123abcd', ''])(
  'an id is not %j',
  (id) => {
    expect(gatewayName(id)).toBeNull();
  },
);

it('a name has 63 characters at most, and neither begins nor ends with a dash', () => {
  const named = (name: string) => isGatewayName({ ...GW, name });
  expect([named('a'), named('a'.repeat(63)), named('a'.repeat(64)), named('a-'), named('')]).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

it('the parts of an id are read without being checked', () => {
  expect([nameOf('gw-1.0123abcd'), nameOf('gw')]).toEqual(['gw-1', 'gw']);
  expect(splitId('gw-1.0123abcd:17')).toEqual({ gateway: 'gw-1.0123abcd', number: 17 });
});
