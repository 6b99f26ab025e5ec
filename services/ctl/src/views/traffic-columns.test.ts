import { TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { CONNECTION, FakeTopology } from '../topology.fixture.ts';

let server: FakeTopology;

beforeEach(async () => {
  server = new FakeTopology();
  await server.start();
});

afterEach(() => server.stop());

async function conns(...args: string[]): Promise<RecordingTerminal> {
  const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: server.address });
  expect(await main(['conns', ...args], terminal)).toBe(0);
  return terminal;
}

it('conns -o wide shows each connection’s traffic, and names gateways that have not answered', async () => {
  server.connections = [CONNECTION, { ...CONNECTION, id: 'gw.2:7' }];
  const counters = TrafficCounters.fromPartial({
    kind: TrafficKind.TRAFFIC_KIND_CONNECTION,
    id: CONNECTION.id,
    messagesIn: 1234,
    messagesOut: 12,
    bytesIn: 5_000_000,
    bytesOut: 768,
    transactionsOpen: 4,
    transactionsOpened: 40,
    queueBytes: 0,
    pauses: 2,
  });
  server.traffic = [{ counters: [counters], silentGateways: ['gw.2'] }];
  const { printed, noted } = await conns('-o', 'wide', '--gateway', 'gw');
  expect(printed).toMatchInlineSnapshot(`
    "CONNECTION  DIALECT  REMOTE          ORIGIN    LNK_CONNS  LINKS  RELAYS  SINCE                 STATE  MSG_IN  MSG_OUT  B_IN  B_OUT  OPEN  OPENED  QUEUE  PAUSES  LABEL  WANTED BY
    gw.1:103    circuit  192.0.2.7:4321  accepted          1      1       1  2026-01-31 12:00:01Z  ok      1.23k       12    5M    768     4      40      0       2  box    -
    gw.2:7      circuit  192.0.2.7:4321  accepted          1      1       1  2026-01-31 12:00:01Z  ok          -        -     -      -     -       -      -       -  box    -
    "
  `);
  expect(noted).toBe('spanmesh: missing: gw.2 (no answer)\n');
  const kinds = [TrafficKind.TRAFFIC_KIND_CONNECTION];
  expect(server.trafficAsked).toMatchObject([{ gateway: 'gw', kinds }]);
});

it('conns does not ask for traffic otherwise', async () => {
  await conns();
  await conns('-o', 'json');
  expect(server.trafficAsked).toEqual([]);
});
