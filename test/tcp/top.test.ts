import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EchoNode } from '../peer/echo-node.ts';
import { addedBetween, listTraffic } from '../peer/traffic.ts';
import { World } from '../peer/world.ts';

let world: World;
const nodes: EchoNode[] = [];
beforeAll(async () => {
  world = await World.start({ markers: 'linkid' });
  for (const n of [1, 2]) nodes.push(await EchoNode.start(world.port('circuit'), 'circuit', n));
});
afterAll(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  await world.stop();
});

async function spanmesh(...args: string[]): Promise<string> {
  const terminal = new RecordingTerminal();
  const { grpcPort } = world.standalone;
  expect([await main([...args, '--address', `127.0.0.1:${grpcPort}`], terminal), terminal.noted]).toEqual([0, '']);
  return terminal.printed;
}

it('top shows the peers of a standalone, one table that starts with its headings', async () => {
  const lines = (await spanmesh('top', '--interval', '20ms', '--filter', 'ECHO')).trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^WHAT +ID +REMOTE +DIALECT +MSG_IN\/S/);
  for (const line of lines.slice(1)) {
    expect(line).toMatch(
      /^connection +gateway\.[0-9a-f]{8}:\d+ +127\.0\.0\.1:\d+ +circuit( +\d\S*){8} +.*echo\.example$/,
    );
  }
});

it('conns -o wide shows the traffic of every peer', async () => {
  const [headings, ...lines] = (await spanmesh('conns', '-o', 'wide')).trimEnd().split('\n');
  expect(headings).toMatch(/ MSG_IN +MSG_OUT +B_IN +B_OUT +OPEN +OPENED +QUEUE +PAUSES /);
  expect(lines).toHaveLength(4);
  for (const line of lines) expect(line).toMatch(/ ok( +\d\S*){8} /);
});

it('the traffic of an API client is counted to the byte, in its class and on the connection', async () => {
  const { grpcPort } = world.standalone;
  const before = await listTraffic(grpcPort);
  // Each PING is a message of 64 bytes, and so is its answer.
  await spanmesh('ping', 'echo1', '--count', '5', '--interval', '1ms');
  const added = addedBetween(before, await listTraffic(grpcPort));
  expect(added['gateway class client']).toEqual({
    messagesIn: 5,
    messagesOut: 5,
    bytesIn: 320,
    bytesOut: 320,
    transactionsOpened: 5,
  });
  expect(added['gateway connection']).toEqual(added['gateway class client']);
  expect(added['gateway class local']).toMatchObject({ messagesIn: 0, bytesIn: 0 });
});
