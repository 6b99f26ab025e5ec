import { status } from '@grpc/grpc-js';
import { systemClock } from '@spanmesh/runtime/clock';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { Certificates } from '@spanmesh/runtime/tls/certificates.fixture';
import { gatewayCertificateName } from '@spanmesh/runtime/tls/gateway-certificate';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from '@spanmesh/runtime/tls/service-names';
import { type TlsFiles, watchTlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { afterEach, describe, expect, it } from 'vitest';
import { LinkGatewayError, type TrunkFault } from '../gateway-error.ts';
import type { GatewayTrunks } from './gateway-trunks.ts';
import { askOverGrpc } from './open-trunk.ts';
import { TestGatewayEnd } from './trunk.fixture.ts';
import { serveTrunks } from './trunk-service.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const servers: GrpcServer[] = [];

/** Starts a gateway whose OpenTrunk is served by a real gRPC server. Returns it with its `host:port`. */
async function serve(
  id: string,
  clock: FakeClock,
  tls: TlsFiles | null = null,
): Promise<{ end: TestGatewayEnd; address: string }> {
  const end = new TestGatewayEnd(id, clock, askOverGrpc(PLAINTEXT), tls);
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  servers.push(server);
  serveTrunks(server, end.trunks);
  await end.trunks.start(end.terminal);
  return { end, address: `127.0.0.1:${await server.start()}` };
}

describe('a call that is refused', () => {
  it.each<[TrunkFault, status]>([
    ['already-exists', status.ALREADY_EXISTS],
    ['not-this-gateway', status.FAILED_PRECONDITION],
    ['stopping', status.FAILED_PRECONDITION],
    ['declared-dead', status.NOT_FOUND],
    ['too-many', status.RESOURCE_EXHAUSTED],
    ['invalid', status.INVALID_ARGUMENT],
    ['version', status.UNIMPLEMENTED],
    ['timeout', status.INTERNAL],
  ])('for %s has its status', async (code, expected) => {
    let serve: (call: unknown, answer: (error: { code: status }) => void) => void = () => {};
    const server = { addService: (_: unknown, { openTrunk }: never) => (serve = openTrunk) };
    const openTrunk = () => {
      throw new LinkGatewayError('trunk', { why: code });
    };
    serveTrunks(server as never, { openTrunk } as unknown as GatewayTrunks);
    const call = { request: { from: 'a.1', to: 'b.1', version: 1 }, getAuthContext: () => ({}) };
    expect(await new Promise((resolve) => serve(call, (error) => resolve(error.code)))).toBe(expected);
  });
});

describe('OpenTrunk over gRPC', () => {
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop(100)));
  });

  it('sets a trunk up, whether one side opens it or both at once', async () => {
    for (const both of [false, true]) {
      const clock = new FakeClock();
      const [a, b] = [await serve('a.00000001', clock), await serve('b.00000002', clock)];
      const list = [
        { gateway: a.end.id, serviceAddress: a.address },
        { gateway: b.end.id, serviceAddress: b.address },
      ];
      for (const { end } of [a, b]) end.trunks.listed(list);
      expect(a.end.trunks.route({ gateway: b.end.id, number: 1 }, 'circuit', null)).not.toBeNull();
      if (both) expect(b.end.trunks.route({ gateway: a.end.id, number: 2 }, 'linkid', null)).not.toBeNull();
      await until(() => b.end.terminal.opened.length === 1 && (!both || a.end.terminal.opened.length === 1));
      expect([a.end.trunks.counts().established, b.end.trunks.counts().established]).toEqual([1, 1]);
      const stopped = Promise.all([a.end.trunks.stop(), b.end.trunks.stop()]);
      clock.advance(10_000);
      await stopped;
    }
  });

  it('sets up trunks of TLS between gateways, and refuses other services', async () => {
    const certificates = new Certificates();
    const files = (name: string, gateway: string) =>
      watchTlsFiles(certificates.files([name, gatewayCertificateName(gateway)]), { clock: systemClock, logger });
    for (const [name, gateway, isTaken] of [
      [LINK_GATEWAY_NAME, 'a', true],
      [LINK_GATEWAY_NAME, 'c', false],
      [TOPOLOGY_NAME, 'a', false],
    ] as const) {
      const clock = new FakeClock();
      const a = await serve('a.00000001', clock, files(name, gateway));
      const b = await serve('b.00000002', clock, files(LINK_GATEWAY_NAME, 'b'));
      a.end.trunks.listed([{ gateway: b.end.id, serviceAddress: b.address }]);
      const route = a.end.trunks.route({ gateway: b.end.id, number: 1 }, 'circuit', null)!;
      await until(() => (isTaken ? b.end.terminal.opened.length : a.end.terminal.ended.length) === 1);
      expect(route.ended).toBe(!isTaken);
      expect(b.end.trunks.metrics.tokensRefused).toBe(isTaken ? 0 : 1);
      const stopped = Promise.all([a.end.trunks.stop(), b.end.trunks.stop()]);
      clock.advance(10_000);
      await stopped;
    }
    certificates.remove();
  });

  it('refuses a gateway that was declared dead with the error declared-dead, and that gateway is told that it is dead', async () => {
    const clock = new FakeClock();
    const [a, b] = [await serve('a.00000001', clock), await serve('b.00000002', clock)];
    b.end.trunks.gone([a.end.id]);
    a.end.trunks.listed([{ gateway: b.end.id, serviceAddress: b.address }]);
    expect(a.end.trunks.route({ gateway: b.end.id, number: 1 }, 'circuit', null)).not.toBeNull();
    await until(() => a.end.deadCalls === 1);
    const line = a.end.log.find(({ msg }) => msg === 'trunk cannot be opened');
    expect(line).toMatchObject({ peer: b.end.id, error: 'declared-dead' });
    await a.end.trunks.stop();
    await b.end.trunks.stop();
  });

  it('is refused by another boot of the gateway, and the caller counts the gateway as unreachable', async () => {
    const clock = new FakeClock();
    const [a, b] = [await serve('a.00000001', clock), await serve('b.00000002', clock)];
    a.end.trunks.listed([{ gateway: 'b.00000009', serviceAddress: b.address }]);
    const route = a.end.trunks.route({ gateway: 'b.00000009', number: 1 }, 'circuit', null);
    expect(route).not.toBeNull();
    await until(() => a.end.terminal.ended.length === 1);
    clock.advance(2_000);
    expect(a.end.unreachable).toEqual([['b.00000009']]);
    expect(a.end.trunks.state()).toEqual({ established: [], unreachable: ['b.00000009'] });
    const line = a.end.log.find(({ msg }) => msg === 'trunk cannot be opened');
    expect(line).toMatchObject({ peer: 'b.00000009', error: 'unreachable' });
    await a.end.trunks.stop();
    await b.end.trunks.stop();
  });
});
