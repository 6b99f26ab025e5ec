import { MAX_TRUNKS } from '@spanmesh/link-gateway/trunk/limits';
import { MAX_GATEWAYS } from '@spanmesh/topology/attach/gateway-control';
import { expect, it } from 'vitest';

it('a gateway may have a trunk with each gateway that a leader accepts, and with the former id of each', () => {
  expect(MAX_TRUNKS).toBeGreaterThanOrEqual(2 * MAX_GATEWAYS);
});
