import { hostname } from 'node:os';
import { CaptureService } from '@spanmesh/proto/v1/capture';
import { DialService } from '@spanmesh/proto/v1/dial';
import { MessagingService } from '@spanmesh/proto/v1/messaging';
import { GatewayTrafficService } from '@spanmesh/proto/v1/traffic';
import type { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import type { Security } from '@spanmesh/runtime/grpc/security';
import { type Random, systemRandom } from '@spanmesh/runtime/random';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from '@spanmesh/runtime/tls/service-names';
import { AttachClient } from './attach/attach-client.ts';
import type { TopologyLocator } from './attach/topology-locator.ts';
import type { GatewayDependencies } from './gateway-parts.ts';
import { Gateway } from './gateway-service.ts';
import { DirectoryCalls } from './messaging/directory-calls.ts';
import { type GatewayOptions, gatewaySettings } from './settings.ts';
import { GatewayTrunks } from './trunk/gateway-trunks.ts';
import { serveTrunks } from './trunk/trunk-service.ts';

/** The servers that a gateway adds its gRPC services to. Neither has been started when the gateway is made. */
export interface GatewayPorts {
  /** The server for users of the API. */
  readonly api: Pick<GrpcServer, 'addService'>;
  /** The server for the other services of the installation. */
  readonly service: Pick<GrpcServer, 'addService'>;
  /** `host:port` under which other gateways reach `service`, once started; empty: it listens on all addresses. */
  readonly advertisedServiceAddress: string;
  /** Port of `service`, once started. */
  readonly servicePort: number;
  /** Every port of the process that is not the gateway's own, once started. */
  readonly all: readonly number[];
  /** TLS between services: this gateway's certificate files (null: no TLS), and the channels to other services. */
  readonly security: Pick<Security, 'channel' | 'serviceFiles'>;
  /** Which versions of other services are accepted; default: those compatible with ours. */
  readonly protocol?: ProtocolRule;
}

/** What a gateway needs of its process. */
export interface CreateGatewayDependencies
  extends Omit<GatewayDependencies, 'makeAttach' | 'makeDirectory' | 'makeTrunks' | 'random' | 'serviceAddress'> {
  /** Name of the installation that the gateway belongs to. */
  readonly installation: string;
  /** Finds the topology leader. */
  readonly locator: TopologyLocator;
  readonly random?: Random;
  readonly ports: GatewayPorts;
}

/** Makes a link-gateway with its Attach stream and its gRPC services. */
export function createGateway(options: GatewayOptions, deps: CreateGatewayDependencies): Gateway {
  const { installation, locator, random = systemRandom, ports, ...rest } = deps;
  const { clock, logger, tracing, events } = deps;
  const { security, protocol = new ProtocolRule({}, { logger, clock }) } = ports;
  const trunkSecurity = { tls: security.serviceFiles, security: security.channel(LINK_GATEWAY_NAME) };
  const topologySecurity = security.channel(TOPOLOGY_NAME);
  const trunkOptions = { listen: options.trunkListen, setting: gatewaySettings.trunkListen.env };
  const gateway = new Gateway(options, {
    ...rest,
    random,
    otherPorts: () => ports.all,
    serviceAddress: () =>
      options.serviceAddress || ports.advertisedServiceAddress || `${hostname()}:${ports.servicePort}`,
    makeTrunks: (self, host) =>
      new GatewayTrunks({ self, ...trunkOptions }, { clock, logger, random, protocol, ...trunkSecurity, ...host }),
    makeDirectory: (id) => {
      const where = { gateway: id, address: () => locator.address(), security: topologySecurity };
      const directory = new DirectoryCalls(where, { clock, logger, ...(events && { events }) });
      locator.onChange(() => directory.askAgain());
      return directory;
    },
    makeAttach: (host, reports) => {
      const attach = new AttachClient(
        { installation, security: topologySecurity },
        { clock, logger, random, host, reports, locator, protocol, ...(tracing && { tracing }) },
      );
      locator.onChange(() => attach.leaderChanged());
      return attach;
    },
  });
  ports.api.addService(MessagingService, gateway.messagingImplementation);
  // Also here, for calls that other processes pass on for their users.
  ports.service.addService(MessagingService, gateway.messagingImplementation);
  ports.service.addService(DialService, gateway.dialImplementation);
  ports.service.addService(CaptureService, gateway.captureImplementation);
  ports.service.addService(GatewayTrafficService, gateway.traffic.implementation);
  if (gateway.trunks !== null) serveTrunks(ports.service, gateway.trunks);
  return gateway;
}
