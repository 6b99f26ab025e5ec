import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type CloseConnectionRequest,
  CloseConnectionResponse,
  type DrainGatewayRequest,
  type DrainGatewayResponse,
  GatewayStatus,
  GetStatusResponse,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import { Connection, ConnectionOrigin } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseShare } from '../commands/gateways.ts';
import { FakeServer } from '../grpc-server.fixture.ts';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

type DrainCall = ServerWritableStream<DrainGatewayRequest, DrainGatewayResponse>;

let server: FakeServer;
let terminal: RecordingTerminal;
let asked: DrainGatewayRequest[];
/** How the API handles each call of DrainGateway, in the order of the calls. */
let drains: ((call: DrainCall) => void)[];
let closes: CloseConnectionRequest[];
let connection: Connection;

beforeEach(async () => {
  terminal = new RecordingTerminal();
  asked = [];
  drains = [];
  closes = [];
  connection = Connection.fromPartial({ id: 'gw-1.0badcafe:7', remoteAddress: '192.0.2.7:4321' });
  const gateways = [
    GatewayStatus.fromPartial({ name: 'gw-1', boot: '0badcafe', attached: true, connections: 12 }),
    GatewayStatus.fromPartial({ name: 'gw-2', boot: '00000002', attached: true, draining: true }),
  ];
  server = new FakeServer(TopologyService, {
    getStatus: (_: ServerUnaryCall<object, object>, callback: sendUnaryData<GetStatusResponse>) =>
      callback(null, GetStatusResponse.fromPartial({ gateways })),
    drainGateway: (call: DrainCall) => {
      asked.push(call.request);
      drains.shift()!(call);
    },
    closeConnection: (
      call: ServerUnaryCall<CloseConnectionRequest, CloseConnectionResponse>,
      callback: sendUnaryData<CloseConnectionResponse>,
    ) => {
      closes.push(call.request);
      callback(null, CloseConnectionResponse.fromPartial({ connection }));
    },
  });
  await server.start();
});

afterEach(() => server.stop());

const run = (...args: string[]) => main([...args, '--address', server.address], terminal);
const progress = (call: DrainCall, closed: number, cut = 0) => {
  const done = closed + cut === 3;
  call.write({ order: call.request.order, gateway: 'gw-1.0badcafe', chosen: 3, closed, cut, done });
  if (done) call.end();
};
const lost = (call: DrainCall) =>
  call.emit('error', Object.assign(new Error(), { code: status.UNAVAILABLE, details: 'The leader has changed.' }));

describe('spanmesh gateways', () => {
  it('list shows the connections of each gateway, and its drain', async () => {
    expect(await run('gateways', 'list')).toBe(0);
    expect(terminal.printed.replaceAll(/ +/g, ' ')).toContain('gw-1.0badcafe attached 12');
    expect(terminal.printed).toMatch(/gw-2\.00000002 +draining/);
  });

  it('drain prints the number of connections, and follows the drain to its end', async () => {
    drains.push((call) => {
      progress(call, 0);
      progress(call, 1);
      progress(call, 2, 1);
    });
    expect(await run('gateways', 'drain', 'gw-1', '--share', '25%', '--deadline', '2s')).toBe(0);
    expect(terminal.printed).toBe(
      'gw-1.0badcafe: closing 3 connections\ngw-1.0badcafe: 2 closed in order, 1 cut off\n',
    );
    expect(asked).toMatchObject([{ gateway: 'gw-1', share: 0.25, deadlineMs: 2000 }]);
  });

  it('drain follows the same order when its stream is lost', async () => {
    drains.push(
      (call) => {
        progress(call, 1);
        setImmediate(lost, call);
      },
      (call) => progress(call, 3),
    );
    expect(await run('gateways', 'drain', 'gw-1', '--share', '1')).toBe(0);
    expect(asked.map(({ gateway }) => gateway)).toEqual(['gw-1', 'gw-1.0badcafe']);
    expect(asked[1]!.order).toBe(asked[0]!.order);
    expect(terminal.noted).toContain('The leader has changed.; asking again');
    expect(terminal.printed.endsWith('3 closed in order, 0 cut off\n')).toBe(true);
  });

  it('drain --no-wait ends once the drain has begun', async () => {
    drains.push((call) => progress(call, 0));
    expect(await run('gateways', 'drain', 'gw-1', '--share', '50%', '--no-wait')).toBe(0);
    expect(terminal.printed).toBe('gw-1.0badcafe: closing 3 connections\n');
  });

  it('drain fails with the service’s error', async () => {
    drains.push((call) =>
      call.emit('error', Object.assign(new Error(), { code: status.NOT_FOUND, details: 'There is no gateway gw-9.' })),
    );
    expect(await run('gateways', 'drain', 'gw-9', '--share', '50%')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: There is no gateway gw-9.\n');
  });

  it.each(['0', '0%', '101%', '1.5', 'half', ''])('takes no share %j', (text) => {
    expect(() => parseShare(text)).toThrow('Expected a share');
  });

  it.each([
    ['25%', 0.25],
    ['0.25', 0.25],
    ['100%', 1],
    ['1', 1],
    ['12.5%', 0.125],
  ])('takes a share %j', (text, share) => {
    expect(parseShare(text)).toBe(share);
  });
});

describe('spanmesh conns close', () => {
  it('names the closed connection', async () => {
    expect(await run('conns', 'close', 'box', '--reason', 'moves')).toBe(0);
    expect(closes).toEqual([{ connection: 'box', reason: 'moves' }]);
    expect(terminal.printed).toBe('gw-1.0badcafe:7: closing, peer 192.0.2.7:4321\n');
  });

  it('says that volconf dials a connection of a target again', async () => {
    connection.origin = ConnectionOrigin.CONNECTION_ORIGIN_TARGET;
    connection.wantedBy = 'lab';
    expect(await run('conns', 'close', '7')).toBe(0);
    expect(terminal.printed).toContain('volconf will dial it again: lab wants it\n');
  });
});
