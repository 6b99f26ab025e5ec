import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EchoNode } from '../peer/echo-node.ts';
import { World } from '../peer/world.ts';

let world: World;
const nodes: EchoNode[] = [];
beforeEach(async () => {
  world = await World.start({ markers: 'linkid' });
  for (const n of [1, 2]) nodes.push(await EchoNode.start(world.port('circuit'), 'circuit', n));
});
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  await world.stop();
});

async function trace(...args: string[]) {
  const terminal = new RecordingTerminal();
  const code = await main(['trace', ...args, '--address', `127.0.0.1:${world.standalone.grpcPort}`], terminal);
  return { code, ...terminal, printed: terminal.printed, noted: terminal.noted };
}

describe('spanmesh trace', () => {
  it('shows the hops between two peers, and the times that can be measured', async () => {
    const { code, printed, noted } = await trace('echo1', 'echo2', '-o', 'json');
    expect([code, noted]).toEqual([0, '']);
    const { hops, explanation } = JSON.parse(printed);
    expect(hops).toEqual([
      {
        kind: 'peer',
        name: expect.stringContaining('"echo.example" connection gateway.'),
        roundTripMs: expect.any(Number),
      },
      { kind: 'gateway', name: expect.stringMatching(/^gateway\.[0-9a-f]{8}$/), notMeasured: expect.any(String) },
      { kind: 'peer', name: expect.stringContaining('"echo2", link gateway.'), roundTripMs: expect.any(Number) },
    ]);
    expect(explanation.node.label).toBe('echo2');
    const text = await trace('echo1', 'echo2');
    expect(text.printed).toMatch(/^ 1 peer .*\n.* ms there and back$/m);
    expect(text.printed).toMatch(/^LINK +DIST/m);
  });

  it('says why there is no route', async () => {
    // A peer's own span is not relayed to it.
    const { code, printed, noted } = await trace('echo1', 'echo1');
    expect([code, noted]).toEqual([1, 'spanmesh: there is no way: no link of echo1 is relayed to echo1\n']);
    expect(printed).toContain('it came in on this very connection');
  });

  it('says which peer is not there', async () => {
    expect(await trace('echo1', 'nobody')).toMatchObject({ code: 1, noted: expect.stringContaining('nobody') });
    expect(await trace('nobody', 'echo1')).toMatchObject({ code: 1, noted: expect.stringContaining('nobody') });
  });
});
