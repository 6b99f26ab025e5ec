/**
 * Clients of a gateway's gRPC API, in a process of their own that gets orders over IPC (ClientsOrder) and answers them
 * (ClientsDone). They open streams (OpenRoute), each to a node of the leafs benchmark.
 */
import { performance } from 'node:perf_hooks';
import { BLK_READ } from '@spanmesh/dmsg/command';
import type { MessagingClient } from '@spanmesh/proto/v1/messaging';
import { Dialect } from '@spanmesh/proto/v1/types';
import { messagingClient, RouteClient } from '../peer/route-client.ts';
import { CLUSTER } from './generator-peer.ts';

/** The orders. */
export type ClientsOrder =
  /** Opens this many streams at a gateway, to the circuit nodes with these numbers in turn. */
  | { what: 'open'; port: number; streams: number; nodes: readonly number[] }
  /** Runs transactions on every stream, one at a time, for this long. */
  | { what: 'call'; seconds: number };

/** The result of a `call`; zeros for other orders. */
export interface ClientsDone {
  readonly roundTrips: number;
  /** Number of streams that have ended meanwhile. */
  readonly failed: number;
  readonly seconds: number;
}

/** Streams on one TCP connection: one connection takes at most 1,024. */
const PER_CONNECTION = 500;

const clients: MessagingClient[] = [];
const routes: RouteClient[] = [];

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

async function open({ port, streams, nodes }: ClientsOrder & { what: 'open' }): Promise<void> {
  for (let n = 0; n < streams; n++) {
    if (n % PER_CONNECTION === 0) clients.push(messagingClient(port));
    const number = nodes[n % nodes.length]!;
    const cluster = {
      dialect: Dialect.DIALECT_CIRCUIT,
      id: `${hex(CLUSTER, 8)}-0000-0000-0000-000000000000`,
      peerType: 3,
      peerLabel: '',
    };
    const key = { cluster, id: `${hex(number, 8)}-0077-0000-0000-000000000000`, label: `node${number}` };
    const node = { key, dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', node: '' };
    routes.push(await RouteClient.open(clients.at(-1)!, node));
  }
}

async function call(seconds: number): Promise<ClientsDone> {
  const began = performance.now();
  const end = began + seconds * 1000;
  let roundTrips = 0;
  let failed = 0;
  await Promise.all(
    routes.map(async (route) => {
      for (let transaction = 1; performance.now() < end; transaction++) {
        route.send({ transaction, command: BLK_READ, create: true, delete: true, payload: Buffer.alloc(64) });
        try {
          while (!(await route.message()).delete);
        } catch {
          // The stream has ended, as the node has gone or its gateway, or gRPC has given up its connection.
          failed++;
          return;
        }
        roundTrips++;
      }
    }),
  );
  return { roundTrips, failed, seconds: (performance.now() - began) / 1000 };
}

async function obey(order: ClientsOrder): Promise<ClientsDone> {
  if (order.what === 'call') return call(order.seconds);
  await open(order);
  return { roundTrips: 0, failed: 0, seconds: 0 };
}

process.on('message', (order: ClientsOrder) => void obey(order).then((done) => process.send!(done)));
process.on('disconnect', () => process.exit(0));
