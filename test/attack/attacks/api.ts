import { constants, connect as http2Connect, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import type { Metadata } from '@grpc/grpc-js';
import { AcquireClusterRequest, MessagingClient } from '@spanmesh/proto/v1/messaging';
import { ProcessClient } from '@spanmesh/proto/v1/process';
import { ExplainRequest, ListLinksRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import { VolconfClient } from '@spanmesh/proto/v1/volconf';
import { MAX_API_REQUEST_BYTES } from '@spanmesh/runtime/grpc/grpc-channel';
import { testUuid } from '../../peer/payloads.ts';
import type { Attack } from '../attack.ts';
import type { Attacker } from '../attacker.ts';

type Unary<Q> = (request: Q, metadata: Metadata, done: (error: unknown) => void) => unknown;

/** Makes calls until the turn is over, at most `width` at a time and `perSecond` a second. */
async function calls(
  attacker: Attacker,
  width: number,
  perSecond: number,
  call: (done: () => void) => void,
): Promise<void> {
  let open = 0;
  await attacker.pace(perSecond, () => {
    if (open >= width) return;
    open++;
    call(() => {
      open--;
    });
  });
}

/** A unary call as a user of this role; if it fails it counts as stopped. */
function asked<Q>(attacker: Attacker, role: 'read' | 'operate' | null, client: object, method: Unary<Q>, request: Q) {
  return (done: () => void) => {
    method.call(client, request, attacker.metadata(role), (error) => {
      if (error !== null && !attacker.over) attacker.stopped++;
      done();
    });
  };
}

/** Trees that one user may have at a time (`MAX_TREES_PER_USER`). */
const MOST_TREES = 4;
const FRAME_OF_NOTHING = Buffer.alloc(5);

/** An HTTP/2 connection for gRPC calls without a gRPC client. */
function session(attacker: Attacker) {
  const { grpc: port } = attacker.target;
  const localAddress = attacker.addresses.plain;
  const made = http2Connect(`http://127.0.0.1:${port}`, {
    peerMaxConcurrentStreams: 1_000,
    createConnection: () => connect({ host: '127.0.0.1', port, localAddress }),
  });
  made.on('error', () => {});
  attacker.onEnd(() => made.destroy());
  return made;
}

const GRPC_HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/**
 * A call without a gRPC client, of bytes that are made once: making them each time would take the machine's time from
 * the honest.
 */
interface BigCall {
  readonly path: string;
  readonly role: 'read' | 'operate';
  readonly message: Uint8Array;
}

/** Makes these calls in turn, twenty a second, at most five at a time. */
async function bigCalls(attacker: Attacker, all: readonly BigCall[]): Promise<void> {
  const made = session(attacker);
  const ready = all.map(({ path, role, message }) => {
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), message]);
    frame.writeUInt32BE(message.length, 1);
    const [authorization] = attacker.metadata(role).get('authorization');
    return { headers: { ...GRPC_HEADERS, ':path': path, authorization: String(authorization) }, frame };
  });
  await calls(attacker, 5, 20, (done) => {
    const next = ready[attacker.tried % ready.length];
    if (next === undefined) return;
    const stream = made.request(next.headers);
    const answered = (headers: IncomingHttpHeaders) => {
      const code = headers['grpc-status'];
      if (code !== undefined && code !== '0' && !attacker.over) attacker.stopped++;
    };
    stream.on('response', answered);
    stream.on('trailers', answered);
    stream.on('error', () => {});
    stream.on('close', done);
    stream.resume();
    stream.end(next.frame);
  });
}

/** Attacks by users of the API, and by others who reach its port. */
export const API_ATTACKS: readonly Attack[] = [
  {
    name: 'api-health-watches',
    about: 'Health/Watch by nobody in particular, on many connections',
    stop: { kind: 'limited', resource: 'calls of the health service' },
    run: async (attacker) => {
      const sessions = Array.from({ length: 25 }, () => session(attacker));
      await attacker.pace(attacker.load(400, 2_000), () => {
        const stream = sessions[attacker.tried % sessions.length]!.request({
          ...GRPC_HEADERS,
          ':path': '/grpc.health.v1.Health/Watch',
        });
        stream.on('error', () => {});
        stream.end(FRAME_OF_NOTHING);
      });
    },
  },
  {
    name: 'api-lists',
    about: 'a reader’s ListRelays and ListLinks of page size 1, 20 at a time',
    stop: {
      kind: 'absorbed',
      because: 'a page resumes at its key, and costs what is on it: calls are served in turns by user',
    },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      const request = { pageSize: 1, pageToken: '', dialect: 0, clusterId: '', node: '', connection: '', link: '' };
      await calls(attacker, 20, 400, (done) =>
        attacker.tried % 2 === 0
          ? asked(attacker, 'read', client, client.listRelays as Unary<object>, request)(done)
          : asked(attacker, 'read', client, client.listLinks as Unary<object>, request)(done),
      );
    },
  },
  {
    name: 'api-filters',
    about: 'lists with a filter that nothing fits',
    stop: {
      kind: 'absorbed',
      because: 'a page looks at so many objects and ends, found or not: calls are served in turns by user',
    },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      const request = {
        pageSize: 5000,
        pageToken: '',
        dialect: 0,
        clusterId: testUuid(0x66cc0000),
        node: 'nobody',
        connection: '',
      };
      await calls(attacker, 20, 300, asked(attacker, 'read', client, client.listLinks as Unary<object>, request));
    },
  },
  {
    name: 'api-trees',
    about: 'a reader’s GetTree with relays, as many at a time as he may have',
    stop: { kind: 'absorbed', because: 'a tree is streamed in parts, between which others get their turns' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      await calls(attacker, MOST_TREES, 100, (done) => {
        const stream = client.getTree({ dialect: 0, clusterId: '', withRelays: true }, attacker.metadata('read'));
        stream.on('data', () => {});
        stream.on('error', done);
        stream.on('end', done);
      });
    },
  },
  {
    name: 'api-unread-trees',
    about: 'the same, and not read',
    stop: { kind: 'limited', resource: 'trees' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      const most = attacker.load(100, 800);
      let made = 0;
      await attacker.pace(5, () => {
        // At once: a small tree alone would be over before the next one is asked for.
        for (let i = 0; i < 5 * MOST_TREES && made < most; i++, made++) {
          const stream = client.getTree({ dialect: 0, clusterId: '', withRelays: true }, attacker.metadata('read'));
          stream.on('error', () => {});
          stream.pause();
        }
      });
    },
  },
  {
    name: 'api-explain',
    about: 'a reader’s Explain, 20 at a time',
    stop: { kind: 'absorbed', because: 'an answer is a page, made in slices: calls are served in turns by user' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      const found = Promise.withResolvers<string>();
      const any = { pageSize: 1, pageToken: '', dialect: ApiDialect.DIALECT_CIRCUIT, gateway: '' };
      client.listConnections(any, attacker.metadata('read'), (_error, answer) =>
        found.resolve(answer?.connections[0]?.id ?? ''),
      );
      const request = {
        node: attacker.target.owners.circuit,
        connection: await found.promise,
        pageSize: 500,
        pageToken: '',
      };
      await calls(attacker, 20, 200, asked(attacker, 'read', client, client.explain as Unary<object>, request));
    },
  },
  {
    name: 'api-watches',
    about: 'watches of the trees, as many as he gets, none of which is read',
    stop: { kind: 'limited', resource: 'watches' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      await attacker.pace(attacker.load(700, 1_000), () => {
        const stream = client.watch({ revision: '', withRelays: true }, attacker.metadata('read'));
        stream.on('error', () => attacker.stopped++);
        stream.pause();
      });
    },
  },
  {
    name: 'api-list-again',
    about: 'watches from a revision that never was, again and again',
    stop: { kind: 'absorbed', because: 'each is told to list again, and ends' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      await calls(attacker, 20, 200, (done) => {
        const stream = client.watch({ revision: '99999999:1:1', withRelays: true }, attacker.metadata('read'));
        stream.on('data', () => {});
        stream.on('error', done);
        stream.on('end', done);
      });
    },
  },
  {
    name: 'api-writes-of-a-reader',
    about: 'a reader’s CloseConnection, DrainGateway, SetLogLevel, SetTarget',
    stop: { kind: 'refused', says: 'call refused' },
    run: async (attacker) => {
      const topology = attacker.client(TopologyClient);
      const process = attacker.client(ProcessClient);
      const volconf = attacker.client(VolconfClient);
      const orders = [
        asked(attacker, 'read', topology, topology.closeConnection as Unary<object>, { connection: '1', reason: '' }),
        asked(attacker, 'read', process, process.setLogLevel as Unary<object>, {
          level: 'silent',
          process: '',
          durationMs: 0,
        }),
        asked(attacker, 'read', volconf, volconf.removeTarget as Unary<object>, { name: 'x' }),
        (done: () => void) => {
          const stream = topology.drainGateway(
            { gateway: 'gateway', share: 1, order: '', deadlineMs: 1 },
            attacker.metadata('read'),
          );
          stream.on('error', done);
          stream.on('data', () => {});
        },
      ];
      await calls(attacker, 20, 100, (done) => orders[attacker.tried % orders.length]!(done));
    },
  },
  {
    name: 'api-wrong-tokens',
    about: 'calls with tokens that are wrong',
    stop: { kind: 'refused', says: 'call refused' },
    run: async (attacker) => {
      const made = session(attacker);
      await attacker.pace(300, () => {
        const authorization = `Bearer ${'x'.repeat(40)}${attacker.tried}`;
        const stream = made.request({ ...GRPC_HEADERS, ':path': '/spanmesh.v1.Topology/GetStatus', authorization });
        stream.on('error', () => {});
        stream.on('trailers', () => attacker.stopped++);
        stream.resume();
        stream.end(FRAME_OF_NOTHING);
      });
    },
  },
  {
    name: 'api-giant-drains',
    about: 'an operator’s drains with deadlines of weeks, of a share that is none',
    stop: { kind: 'ordered', method: 'Topology/DrainGateway' },
    run: async (attacker) => {
      const client = attacker.client(TopologyClient);
      await calls(attacker, 10, 50, (done) => {
        const request = { gateway: 'gateway', share: 0.1, order: '', deadlineMs: 0xffffffff };
        const stream = client.drainGateway(request, attacker.metadata('operate'));
        stream.on('data', () => {});
        stream.on('error', () => {
          attacker.stopped++;
          done();
        });
      });
    },
  },
  {
    name: 'api-held-clusters',
    about: 'handles on clusters that do not exist, and calls that wait for them',
    stop: {
      kind: 'absorbed',
      because:
        'handles end with their leases, waiting calls with their connection; in the short form he has fewer than a user may',
    },
    run: async (attacker) => {
      const client = attacker.client(MessagingClient);
      const cluster = (n: number) => ({
        dialect: ApiDialect.DIALECT_LINKID,
        id: testUuid(0x66dd0000 + n),
        peerType: 0,
        peerLabel: '',
      });
      await attacker.pace(attacker.load(300, 2_000), () => {
        const metadata = attacker.metadata('operate');
        const count = (error: unknown) => {
          if (error !== null && !attacker.over) attacker.stopped++;
        };
        if (attacker.tried % 2 === 0)
          client.acquireCluster({ cluster: cluster(attacker.tried), leaseMs: 1_000 }, metadata, count);
        else client.waitCluster({ cluster: cluster(attacker.tried), nodes: 1 }, metadata, count);
      });
    },
  },
  {
    name: 'api-big-requests',
    about: 'requests of 4 MiB of a selector, five at a time',
    stop: {
      kind: 'absorbed',
      because: 'a message past its limit is given up when its length is known, before anything of it is looked at',
    },
    run: async (attacker) => {
      const node = 'n'.repeat(4 << 20);
      const message = ExplainRequest.encode(ExplainRequest.create({ node, connection: '1', pageSize: 500 })).finish();
      await bigCalls(attacker, [{ path: '/spanmesh.v1.Topology/Explain', role: 'read', message }]);
    },
  },
  {
    name: 'api-largest-requests',
    about: 'requests of nearly the largest size that is taken, to topology and to a gateway, five at a time',
    stop: { kind: 'limited', resource: 'bytes of large requests' },
    run: async (attacker) => {
      const most = 'n'.repeat(MAX_API_REQUEST_BYTES - 1_000);
      const explain = ExplainRequest.create({ node: most, connection: '1', pageSize: 500 });
      const list = ListLinksRequest.create({ node: most, pageSize: 5000 });
      const token = ListLinksRequest.create({ pageToken: most, pageSize: 5000 });
      const cluster = { dialect: ApiDialect.DIALECT_CIRCUIT, id: testUuid(0x66dd0000), peerType: 0, peerLabel: most };
      const acquire = AcquireClusterRequest.create({ cluster, leaseMs: 1_000 });
      await bigCalls(attacker, [
        { path: '/spanmesh.v1.Topology/Explain', role: 'read', message: ExplainRequest.encode(explain).finish() },
        { path: '/spanmesh.v1.Topology/ListLinks', role: 'read', message: ListLinksRequest.encode(list).finish() },
        { path: '/spanmesh.v1.Topology/ListLinks', role: 'read', message: ListLinksRequest.encode(token).finish() },
        {
          path: '/spanmesh.v1.Messaging/AcquireCluster',
          role: 'operate',
          message: AcquireClusterRequest.encode(acquire).finish(),
        },
      ]);
    },
  },
  {
    name: 'api-rapid-reset',
    about: 'calls that are begun and reset at once, 1,000 a second',
    stop: { kind: 'absorbed', because: 'a call that was reset has cost its headers; nothing is held' },
    run: async (attacker) => {
      const made = session(attacker);
      await attacker.pace(1_000, () => {
        const stream = made.request({ ...GRPC_HEADERS, ':path': '/spanmesh.v1.Topology/GetStatus' });
        stream.on('error', () => {});
        stream.close(constants.NGHTTP2_CANCEL);
      });
    },
  },
  {
    name: 'api-silent-connections',
    about: 'connections to the API that say nothing, and such that begin HTTP/2 and stop',
    stop: { kind: 'limited', resource: 'connections to SPANMESH_GRPC_LISTEN' },
    run: (attacker) =>
      attacker.pace(attacker.load(200, 1_000), async () => {
        const socket = await attacker.connect({ port: attacker.target.grpc });
        if (attacker.tried % 2 === 0) socket?.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      }),
  },
  {
    name: 'http-slowloris',
    about: 'requests to the HTTP port whose headers never end',
    stop: { kind: 'limited', resource: 'HTTP connections' },
    run: (attacker) =>
      attacker.pace(300, async () => {
        const socket = await attacker.connect({ port: attacker.target.http });
        socket?.write('GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ');
      }),
  },
  {
    name: 'http-scrapes',
    about: 'metrics, read 50 times a second',
    stop: {
      kind: 'absorbed',
      because: 'metrics are few and name no peer: making them is a small part of a turn',
    },
    run: (attacker) =>
      attacker.pace(50, () => {
        void fetch(`http://127.0.0.1:${attacker.target.http}/metrics`, { signal: attacker.signal })
          .then((response) => response.text())
          .catch(() => {});
      }),
  },
];
