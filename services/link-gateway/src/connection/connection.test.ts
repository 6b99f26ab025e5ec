import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestGateway } from '../testing/gateway.fixture.ts';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await TestGateway.start();
});
afterEach(() => gateway.stop());

const closedFor = (reason: string) => gateway.log.find((line) => line.reason === reason);

describe('a connection', () => {
  it('whose message does not come to its end in time is told so with PARAM, and closed', async () => {
    const { peer } = await gateway.established('circuit');
    const { bytesIn } = gateway.gateway.counters;
    peer.raw(encodeMessage({ rules: CIRCUIT, cmd: 0x00000101, salt: 1 }).subarray(0, 32));
    await until(() => gateway.gateway.counters.bytesIn === bytesIn + 32);
    gateway.clock.advance(3_600_000);
    const { cmd, error } = await peer.next();
    expect([cmd, error > 0]).toEqual([0x000fff01, true]);
    await peer.end();
    const { closed, protocolErrors } = gateway.gateway.counters;
    expect([closed['message-timeout'], protocolErrors]).toEqual([1, {}]);
    expect(closedFor('message-timeout')).toMatchObject({ pending: 32, afterMs: expect.any(Number) });
  });
});
