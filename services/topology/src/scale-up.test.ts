import { AttachResponse } from '@spanmesh/proto/v1/gateway_control';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { settle } from './testing/world.fixture.ts';

/** How many bytes each of nine gateways with `spans` spans is sent when a tenth gateway attaches. */
function toldOfTheTenth(spans: number): number[] {
  const leader = new FakeLeader();
  const gateways = Array.from({ length: 9 }, (_, i) => new FakeGateway(`gateway-${i + 1}`));
  let node = 0;
  for (const gateway of gateways) {
    const connection = gateway.openConnection();
    gateway.openLnkConn(connection);
    for (let n = 0; n < spans; n++) gateway.openLink(connection, ++node);
  }
  settle(leader, gateways);
  const before = gateways.map(({ stream }) => stream!.sent.length);
  settle(leader, [...gateways, new FakeGateway('gateway-10')]);
  return gateways.map(({ stream }, i) => {
    const sent = stream!.sent.slice(before[i]);
    return sent.reduce((bytes, message) => bytes + AttachResponse.encode(message).finish().length, 0);
  });
}

describe('a tenth gateway', () => {
  it('costs each other gateway its name and address, however many spans there are', () => {
    const [few, many] = [toldOfTheTenth(1), toldOfTheTenth(100)];
    expect(Math.min(...few)).toBeGreaterThan(0);
    // Numbers of commands are doubles, whose size does not depend on their value.
    expect(many).toEqual(few);
    process.stdout.write(`bytes that each of 9 gateways is told when a tenth comes: ${Math.max(...few)}\n`);
  });
});
