import type { ServerDuplexStream } from '@grpc/grpc-js';
import { type AttachRequest, type AttachResponse, GatewayControlService } from '@spanmesh/proto/v1/gateway_control';
import { ListProcessesRequest, ProcessClient, type ProcessInfo } from '@spanmesh/proto/v1/process';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { OtherServices } from '@spanmesh/runtime/grpc/other-services';
import { LeaderAddress } from '@spanmesh/runtime/lease/leader-address';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EventReporter } from './attach/event-reporter.ts';
import { TopologyLocator } from './attach/topology-locator.ts';
import { TopologyApi } from './attach/tree-source.ts';
import { Gateway } from './gateway-service.ts';
import { MAX_TOPOLOGY_ADDRESSES } from './limits.ts';
import { createLinkGatewayProcess, type LinkGatewayProcess, settings } from './process.ts';

// Limits: link-gateway/src/limits.ts MAX_TOPOLOGY_ADDRESSES
it('a gateway takes at most 16 addresses of topology', () => {
  const read = (addresses: number) => {
    const SPANMESH_TOPOLOGY_ADDRESS = Array.from({ length: addresses }, (_, n) => `192.0.2.${n}:1`).join();
    return readSettings(settings, { env: { SPANMESH_TOPOLOGY_ADDRESS }, flags: {} }).topologyAddresses;
  };
  expect(read(MAX_TOPOLOGY_ADDRESSES)).toHaveLength(16);
  expect(() => read(MAX_TOPOLOGY_ADDRESSES + 1)).toThrow('must have at most 16 values');
});

describe('the process of a gateway', () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    vi.restoreAllMocks();
  });

  function made(env: Record<string, string> = {}): LinkGatewayProcess {
    const loopback = '127.0.0.1:0';
    const listen = {
      SPANMESH_GRPC_LISTEN: loopback,
      SPANMESH_SERVICE_LISTEN: loopback,
      SPANMESH_HTTP_LISTEN: loopback,
      SPANMESH_TRUNK_LISTEN: loopback,
      SPANMESH_DMSG_LISTEN: loopback,
      SPANMESH_LOG_LEVEL: 'silent',
      SPANMESH_STOP_TIMEOUT: '100ms',
      SPANMESH_GATEWAY_NAME: 'gw',
    };
    return createLinkGatewayProcess({ env: { ...listen, ...env }, flags: {} });
  }

  /** A topology that takes nobody on: the requests that have come. */
  async function topology(): Promise<{ readonly address: string; readonly requests: AttachRequest[] }> {
    const requests: AttachRequest[] = [];
    const logger = createLogger({ level: 'silent', service: 'test' });
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(GatewayControlService, {
      attach: (stream: ServerDuplexStream<AttachRequest, AttachResponse>) => {
        stream.on('data', (request: AttachRequest) => void requests.push(request)).on('error', () => {});
      },
    });
    const address = `127.0.0.1:${await server.start()}`;
    ends.push(() => server.stop(0));
    return { address, requests };
  }

  /** What the process says of itself. */
  function infoOf({ ports }: LinkGatewayProcess): Promise<ProcessInfo | undefined> {
    const client = createClient(ProcessClient, ports.apiAddress);
    ends.push(() => client.close());
    return new Promise((resolve, reject) =>
      client.listProcesses(ListProcessesRequest.create(), (error, answer) =>
        error === null ? resolve(answer.processes[0]) : reject(error),
      ),
    );
  }

  it('asks the topology that is named, and says who the gateway is', async () => {
    const { address, requests } = await topology();
    const gateway = made({ SPANMESH_TOPOLOGY_ADDRESS: address, SPANMESH_INSTALLATION: 'here' });
    ends.push(() => gateway.stop());
    await gateway.start();
    await until(() => requests.length > 0);
    const { serviceAddress } = gateway.ports;
    expect(requests[0]?.hello).toMatchObject({ name: 'gw', installation: 'here', serviceAddress });
    const { id } = gateway.gateway;
    const info = await infoOf(gateway);
    expect(info).toMatchObject({ service: 'link-gateway', gateway: id, serviceAddress });
    expect(info?.notReady).toMatch(/no topology leader/);
    expect(await gateway.metrics.text()).toMatch(/\nspanmesh_gateway_/);
  });

  it('begins its parts, and ends them all: the connections of peers first', async () => {
    const order: string[] = [];
    const noted = (name: string) => (): Promise<void> => {
      order.push(name);
      return Promise.resolve();
    };
    const { prototype } = Gateway;
    const begins = [
      vi.spyOn(TopologyLocator.prototype, 'start'),
      vi.spyOn(LeaderAddress.prototype, 'start'),
      vi.spyOn(prototype, 'start').mockImplementation(noted('gateway')),
    ];
    const gateway = made();
    await gateway.start();
    for (const begin of begins) expect(begin).toHaveBeenCalledOnce();
    // Without NATS and a named address topology is on this host.
    const [locator] = begins[0]?.mock.contexts ?? [];
    expect(locator instanceof TopologyLocator && locator.address()).toBe('127.0.0.1:7986');
    const hurry = vi.spyOn(prototype, 'hurry');
    gateway.hurry();
    expect(hurry).toHaveBeenCalledOnce();
    order.length = 0;
    vi.spyOn(prototype, 'stop').mockImplementation(noted('gateway'));
    vi.spyOn(OtherServices.prototype, 'stop').mockImplementation(noted('calls for users'));
    vi.spyOn(LeaderAddress.prototype, 'stop').mockImplementation(noted('volconf'));
    vi.spyOn(TopologyLocator.prototype, 'stop').mockImplementation(noted('locator'));
    vi.spyOn(TopologyApi.prototype, 'close').mockImplementation(noted('trees'));
    vi.spyOn(EventReporter.prototype, 'stop').mockImplementation(noted('events'));
    await gateway.stop();
    expect(order).toEqual(['gateway', 'calls for users', 'volconf', 'locator', 'trees', 'events']);
  });

  it('knows no topology before NATS names one', async () => {
    const stop = vi.spyOn(TopologyLocator.prototype, 'stop');
    await made({ SPANMESH_NATS_URL: 'nats://127.0.0.1:1' }).stop();
    const [locator] = stop.mock.contexts;
    expect(locator instanceof TopologyLocator && locator.address()).toBeNull();
  });
});
