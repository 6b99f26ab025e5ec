import { type ServiceError, status } from '@grpc/grpc-js';
import type { ProcessInfo } from '@spanmesh/proto/v1/process';
import {
  type OrderLogLevelRequest,
  type OrderLogLevelResponse,
  ProcessOrdersClient,
} from '@spanmesh/proto/v1/process_orders';
import { parseHostPort } from '../address.ts';
import type { Clock } from '../clock.ts';
import { createClient } from '../grpc/grpc-client.ts';
import { LINK_GATEWAY_NAME, type ServiceName, TOPOLOGY_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import { type ChannelSecurity, meetingGateway } from '../tls/tls-credentials.ts';
import { gatewayName } from './log-level-order.ts';

/**
 * Services that give orders to other processes. Gateways do not: they talk to peers, and one that was broken into must
 * not command the others.
 */
export const ORDERING_SERVICES: readonly string[] = ['topology', 'volconf'];

/** Processes to which an order is sent at the same time. */
const MAX_AT_A_TIME = 64;
/** Longest wait for one answer, ms. */
const ANSWER_MS = 2000;
/**
 * After this time no further process gets the order, ms: the number of processes, and their addresses, come from any
 * process that can write to NATS.
 */
const LONGEST_MS = 8000;

const NAMES: Readonly<Record<string, ServiceName>> = {
  'link-gateway': LINK_GATEWAY_NAME,
  topology: TOPOLOGY_NAME,
  volconf: VOLCONF_NAME,
};

export interface OrderSenderDependencies {
  readonly clock: Clock;
  /** Credentials and options for a connection to a service of this name. */
  readonly security: (name: ServiceName) => ChannelSecurity;
}

/** Result of an order. */
export interface Ordered {
  /** Processes that have obeyed, with their state after that. */
  readonly obeyed: ProcessInfo[];
  /** Processes that have not obeyed. */
  readonly unreached: ProcessInfo[];
}

/** Sends orders to other processes, on their service ports, where certificates identify both sides. */
export class OrderSender {
  readonly #deps: OrderSenderDependencies;

  constructor(deps: OrderSenderDependencies) {
    this.#deps = deps;
  }

  /** Sends the order to each process, some at a time. */
  async send(request: OrderLogLevelRequest, to: readonly ProcessInfo[]): Promise<Ordered> {
    const { clock } = this.#deps;
    const until = clock.now() + LONGEST_MS;
    const ordered: Ordered = { obeyed: [], unreached: [] };
    const waiting = [...to];
    const work = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const answer = clock.now() < until ? await this.#order(request, next) : null;
        if (answer === null) ordered.unreached.push(next);
        else if (answer.process !== undefined) ordered.obeyed.push(answer.process);
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_AT_A_TIME, to.length) }, work));
    return ordered;
  }

  /** Sends an order to one process; null: it could not be reached, or refused. */
  #order(request: OrderLogLevelRequest, info: ProcessInfo): Promise<OrderLogLevelResponse | null> {
    const security = this.#meeting(info);
    if (security === null || !isAddress(info.serviceAddress)) return Promise.resolve(null);
    const client = createClient(ProcessOrdersClient, info.serviceAddress, { security });
    return new Promise((resolve) => {
      const late = this.#deps.clock.after(ANSWER_MS, () => call.cancel());
      const call = client.orderLogLevel(request, (error: ServiceError | null, answer) => {
        late.cancel();
        client.close();
        resolve(error === null || error.code === status.OK ? answer : null);
      });
    });
  }

  /**
   * Credentials for the process, which must show the certificate of the service that it claims to be. null: it claims
   * an unknown service.
   */
  #meeting({ service, gateway }: ProcessInfo): ChannelSecurity | null {
    const name = NAMES[service];
    if (name === undefined) return null;
    const security = this.#deps.security(name);
    return name === LINK_GATEWAY_NAME ? meetingGateway(security, gatewayName(gateway)) : security;
  }
}

function isAddress(text: string): boolean {
  try {
    parseHostPort(text);
    return true;
  } catch {
    return false;
  }
}
