import { SettingError } from '@spanmesh/runtime/settings/setting';
import { afterEach, describe, expect, it } from 'vitest';
import { TestGateway } from '../testing/gateway.fixture.ts';

/**
 * The kernel chooses one of two listeners at random for each peer: with 40 peers, one gets none in 2^-39 of all runs.
 */
const PEERS = 40;

const made: TestGateway[] = [];

afterEach(async () => {
  for (const gateway of made.splice(0)) await gateway.stop();
});

async function gatewayOn(port: number, reusePort: string): Promise<TestGateway> {
  const env = { SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`, SPANMESH_DMSG_REUSE_PORT: reusePort };
  const gateway = await TestGateway.start({ env });
  made.push(gateway);
  return gateway;
}

describe('two gateways on one port', () => {
  it('share the peers that connect, each of them with one gateway', async () => {
    const first = await gatewayOn(0, 'true');
    const second = await gatewayOn(first.port('circuit'), 'true');
    // Each peer is greeted by the gateway that has it.
    for (let i = 0; i < PEERS; i++) await (await first.peer('circuit')).next();
    const shares = [first, second].map(({ attach }) => attach.delta.connectionsOpened.length);
    expect(shares[0]! + shares[1]!).toBe(PEERS);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });

  it('the one that is left has the port to itself', async () => {
    const first = await gatewayOn(0, 'true');
    const second = await gatewayOn(first.port('circuit'), 'true');
    await made.shift()!.stop();
    for (let i = 0; i < PEERS; i++) await (await second.peer('circuit')).next();
    expect(second.attach.delta.connectionsOpened).toHaveLength(PEERS);
  });

  it.each([
    ['true', 'false'],
    ['false', 'true'],
    ['false', 'false'],
  ])('need the setting on both (%s, %s)', async (one, other) => {
    const first = await gatewayOn(0, one);
    const refused = gatewayOn(first.port('circuit'), other);
    await expect(refused).rejects.toThrow(SettingError);
    await expect(refused).rejects.toThrow(/SPANMESH_DMSG_LISTEN: .*EADDRINUSE/);
  });
});
