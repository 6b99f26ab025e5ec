import { type Random, systemRandom } from '@spanmesh/runtime/random';
import { AttachClient } from './attach-client.ts';
import { Gateway, type GatewayDependencies } from './gateway-service.ts';
import type { GatewayOptions } from './settings.ts';

/** What a gateway needs from whoever runs it. */
export interface CreateGatewayDependencies extends Omit<GatewayDependencies, 'makeAttach' | 'random'> {
  /** `host:port` of the topology leader as far as it is known; asked anew for each attempt. */
  readonly topologyAddress: () => string | null;
  readonly random?: Random;
}

/** A link-gateway with its stream to topology. */
export function createGateway(options: GatewayOptions, deps: CreateGatewayDependencies): Gateway {
  const { topologyAddress, random = systemRandom, ...rest } = deps;
  const { clock, logger } = deps;
  return new Gateway(options, {
    ...rest,
    random,
    makeAttach: (identity, host) =>
      new AttachClient({ ...identity, address: topologyAddress }, { clock, logger, host, random }),
  });
}
