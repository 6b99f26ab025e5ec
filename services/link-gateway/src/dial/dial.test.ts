import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  DialClient,
  type DialRequest,
  type DialResponse,
  DialService,
  type HangupResponse,
  type WatchMediaResponse,
} from '@spanmesh/proto/v1/dial';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_MEDIA_CHANGES } from '../limits.ts';
import { CONN, TestGateway } from '../testing/gateway.fixture.ts';
import { RawPeer } from '../testing/raw-peer.fixture.ts';
import type { DialledConnection, Order } from './dialled-connection.ts';
import { MediaWatch } from './media-watch.ts';

/** A host that is dialled: its connections in the order in which they came, and whether it answers LNK_CONNs. */
class TargetHost {
  readonly server: Server;
  readonly sockets: Socket[] = [];
  readonly peers: RawPeer[] = [];
  answers = true;
  port = 0;

  constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      const peer = RawPeer.of(socket, 'linkid');
      this.peers.push(peer);
      socket.on('error', () => {});
      socket.on('end', () => socket.end());
      if (this.answers) void this.#answer(peer);
    });
  }

  async listen(address = '127.0.0.2'): Promise<this> {
    this.server.listen(0, address);
    await once(this.server, 'listening');
    this.port = (this.server.address() as { port: number }).port;
    return this;
  }

  /** Connections that are open. */
  get open(): number {
    return this.peers.filter(({ closed }) => !closed).length;
  }

  async connected(count: number): Promise<void> {
    while (this.peers.length < count) await once(this.server, 'connection');
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  async #answer(peer: RawPeer): Promise<void> {
    try {
      const { msgid } = await peer.next();
      peer.say({ cmd: 0xa00fff01, msgid });
    } catch {
      // The connection ended before the gateway spoke.
    }
  }
}

let world: TestGateway;
let server: GrpcServer;
let client: DialClient;
let host: TargetHost;

beforeEach(async () => {
  world = await TestGateway.start();
  host = await new TargetHost().listen();
  const logger = createLogger({ level: 'silent', service: 'test' });
  server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  server.addService(DialService, world.gateway.dialImplementation);
  client = createClient(DialClient, `127.0.0.1:${await server.start()}`);
});

afterEach(async () => {
  client.close();
  host.stop();
  await world.stop();
  await server.stop(0);
});

function dial(request: Partial<DialRequest> = {}): Promise<DialResponse> {
  const whole: DialRequest = {
    owner: 'o',
    epoch: 1,
    generation: 1,
    host: '127.0.0.2',
    port: host.port,
    dialect: ApiDialect.DIALECT_LINKID,
    connectTimeoutMs: 5000,
    answerTimeoutMs: 5000,
    label: 'far',
    mediaId: '',
    principal: '',
    byOperator: true,
    ...request,
  };
  return new Promise((resolve, reject) => {
    client.dial(whole, (error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

function hangup(generation: number, { owner = 'o', epoch = 1 } = {}): Promise<boolean> {
  return new Promise((resolve, reject) => {
    client.hangup({ owner, epoch, generation, reason: 'test' }, (error: ServiceError | null, answer: HangupResponse) =>
      error === null ? resolve(answer.closed) : reject(error),
    );
  });
}

/** Everything that a watch has told. */
class Watched {
  readonly got: WatchMediaResponse[] = [];
  error: ServiceError | null = null;
  readonly stream;
  #wake: (() => void)[] = [];

  constructor(epoch: number) {
    this.stream = client.watchMedia({ epoch });
    this.stream.on('data', (response: WatchMediaResponse) => {
      this.got.push(response);
      this.#notify();
    });
    this.stream.on('error', (error: ServiceError) => {
      this.error = error;
      this.#notify();
    });
  }

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** The entries of this kind in all messages. */
  all<K extends 'opened' | 'closed' | 'slots' | 'up' | 'down'>(kind: K): WatchMediaResponse[K][number][] {
    return this.got.flatMap((response) => response[kind] as WatchMediaResponse[K][number][]);
  }

  async snapshot(): Promise<this> {
    await this.until(() => this.got.some(({ snapshotEnd }) => snapshotEnd));
    return this;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}

describe('where a connection may lead to', () => {
  beforeEach(async () => {
    await world.stop();
    await server.stop(0);
    client.close();
    world = await TestGateway.start({ env: { SPANMESH_DIAL_ALLOW: '127.0.0.2:*' } });
    const logger = createLogger({ level: 'silent', service: 'test' });
    server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(DialService, world.gateway.dialImplementation);
    client = createClient(DialClient, `127.0.0.1:${await server.start()}`);
  });

  it.each(['127.0.0.1', 'localhost', '169.254.169.254', '::ffff:127.0.0.1'])(
    'a peer may not have us connect to %s',
    async (where) => {
      const asked = dial({ host: where, byOperator: false, mediaId: 'm', principal: '192.0.2.66' });
      const error = await asked.catch((reason: unknown) => reason as ServiceError);
      expect(error).toMatchObject({
        code: status.UNAVAILABLE,
        details: expect.stringContaining('SPANMESH_DIAL_ALLOW'),
      });
      expect((error as ServiceError).metadata.get('spanmesh-dial-failure')).toEqual(['not-allowed']);
      const limit = { limit: 'forbidden dials', principal: '192.0.2.66', value: 0, held: 0, ofAll: false };
      expect(world.told).toContainEqual(expect.objectContaining({ principal: '192.0.2.66', limit }));
    },
  );

  it('a peer may where the setting says so, an operator anywhere', async () => {
    await dial({ owner: 'peer', byOperator: false, mediaId: 'm' });
    host.server.close();
    const elsewhere = await new TargetHost().listen('127.0.0.3');
    await dial({ owner: 'operator', host: '127.0.0.3', port: elsewhere.port });
    elsewhere.stop();
  });
});

describe('Dial', () => {
  it('connects, waits for the answer to our LNK_CONN, and shows whose connection it is', async () => {
    const { connection, remoteAddress } = await dial({ generation: 7 });
    expect(remoteAddress).toBe(`127.0.0.2:${host.port}`);
    const { connectionsOpened } = await world.attach.until((delta) => delta.connectionsOpened.length > 0);
    expect(connectionsOpened[0]).toMatchObject({ id: connection, owner: 'o', generation: 7, remoteAddress });
  });

  it('gives the same connection for the same order, given twice at a time or again later', async () => {
    const [one, two] = await Promise.all([dial(), dial()]);
    expect(two).toEqual(one);
    expect(await dial()).toEqual(one);
    expect(host.peers.length).toBe(1);
  });

  it('hangs up the older connection of an owner before it makes another', async () => {
    const first = await dial();
    const second = await dial({ generation: 2 });
    expect(second.connection).not.toBe(first.connection);
    await host.peers[0]!.end();
    expect(host.open).toBe(1);
    await expect(dial()).rejects.toMatchObject({ code: status.ABORTED });
    expect(host.peers.length).toBe(2);
  });

  it('keeps the connections of other owners', async () => {
    await dial();
    await dial({ owner: 'other' });
    expect(host.open).toBe(2);
  });

  it('refuses a leader whose term is over, and names the highest epoch', async () => {
    await dial({ epoch: 5 });
    const error = (await dial({ epoch: 4, generation: 9 }).catch((thrown: unknown) => thrown)) as ServiceError;
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.metadata.get('spanmesh-epoch')).toEqual(['5']);
    await expect(hangup(9, { epoch: 4 })).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(host.open).toBe(1);
  });

  it('says for certain that there is no connection when nobody listens', async () => {
    host.stop();
    const error = (await dial().catch((thrown: unknown) => thrown)) as ServiceError;
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.metadata.get('spanmesh-dial-failure')).toEqual(['unreachable']);
    expect(error.details).toBe('nobody answers there (ECONNREFUSED)');
  });

  it('gives up a peer that does not answer our LNK_CONN, and closes before it says so', async () => {
    host.answers = false;
    const failed = dial({ answerTimeoutMs: 3000 }).catch((thrown: unknown) => thrown);
    await host.connected(1);
    await host.peers[0]!.next();
    world.clock.advance(2999);
    expect(host.open).toBe(1);
    world.clock.advance(1);
    const error = (await failed) as ServiceError;
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    expect(error.metadata.get('spanmesh-dial-failure')).toEqual(['unanswered']);
    await host.peers[0]!.end();
    expect(world.gateway.counts().connections).toBe(0);
  });

  it('takes a refusal of our LNK_CONN for an answer', async () => {
    host.answers = false;
    const done = dial();
    await host.connected(1);
    const { msgid } = await host.peers[0]!.next();
    host.peers[0]!.say({ cmd: 0xe00fff01, msgid, error: 0x20 });
    expect((await done).connection).toBeGreaterThan(0);
  });

  it('fails when the peer hangs up before it answers', async () => {
    host.answers = false;
    const failed = dial().catch((thrown: unknown) => thrown);
    await host.connected(1);
    await host.peers[0]!.next();
    host.sockets[0]!.end();
    const error = (await failed) as ServiceError;
    expect(error.metadata.get('spanmesh-dial-failure')).toEqual(['closed']);
  });

  it('needs no answer when none is asked for', async () => {
    host.answers = false;
    await dial({ answerTimeoutMs: 0 });
    expect(world.gateway.counts().established).toBe(1);
  });

  it.each<[string, Partial<DialRequest>]>([
    ['no owner', { owner: '' }],
    ['a long owner', { owner: 'o'.repeat(257) }],
    ['no generation', { generation: 0 }],
    ['no epoch', { epoch: 0 }],
    ['no port', { port: 0 }],
    ['a high port', { port: 65536 }],
    ['no host', { host: '' }],
    ['a host that is none', { host: 'a b' }],
    ['an address that is none', { host: '::zz' }],
  ])('refuses %s', async (_, request) => {
    await expect(dial(request)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('Hangup', () => {
  it('closes up to the generation that it names, and answers when the socket is closed', async () => {
    await dial({ generation: 3 });
    expect(await hangup(2)).toBe(false);
    expect(host.open).toBe(1);
    expect(await hangup(3)).toBe(true);
    expect(world.gateway.counts().connections).toBe(0);
    expect(await hangup(3)).toBe(false);
  });

  it('ends an attempt', async () => {
    host.answers = false;
    const failed = dial().catch((thrown: unknown) => thrown);
    await host.connected(1);
    expect(await hangup(1)).toBe(true);
    expect(((await failed) as ServiceError).code).toBe(status.ABORTED);
  });

  it('aborts an order of the same generation that comes after it', async () => {
    expect(await hangup(4)).toBe(false);
    await expect(dial({ generation: 4 })).rejects.toMatchObject({ code: status.ABORTED });
    expect(host.peers.length).toBe(0);
    await dial({ generation: 5 });
  });

  it('closes what an earlier leader ordered, whatever its generation was', async () => {
    await dial({ epoch: 1, generation: 50 });
    expect(await hangup(50, { epoch: 2 })).toBe(true);
    await expect(dial({ epoch: 2, generation: 50 })).rejects.toMatchObject({ code: status.ABORTED });
    await dial({ epoch: 2, generation: 51 });
  });
});

describe('WatchMedia', () => {
  it('goes on when the gateway has taken another boot id, and names the first boot id as before', async () => {
    const watch = await new Watched(1).snapshot();
    expect(watch.got.at(-1)).toMatchObject({ gateway: 'gw.80000000', firstBoot: '80000000' });
    world.random = 0.25;
    world.gateway.declaredDead();
    const again = await new Watched(1).snapshot();
    expect(again.got.at(-1)).toMatchObject({ gateway: 'gw.40000000', firstBoot: '80000000' });
    const { lnkConn } = await world.established('linkid');
    await watch.until(() => watch.all('opened').length === 1);
    expect(watch.all('opened')).toMatchObject([{ lnkConn }]);
    expect(watch.error).toBeNull();
  });

  it('tells media and slots: those that are there, then what changes', async () => {
    const { peer, lnkConn } = await world.established('linkid');
    peer.say(volconf(3, 'span:a'));
    await until(() => world.gateway.counters.volconfs === 1);
    const watch = await new Watched(1).snapshot();
    expect(watch.got.at(-1)).toMatchObject({ snapshotEnd: true, gateway: world.gateway.id });
    expect(watch.all('opened')).toMatchObject([{ lnkConn, label: 'probe', dialect: ApiDialect.DIALECT_LINKID }]);
    expect(watch.all('slots')).toMatchObject([{ lnkConn, index: 3 }]);
    peer.say(volconf(4, 'span:b'), volconf(4, 'span:c'));
    await watch.until(() => watch.all('slots').length >= 2);
    const last = watch.all('slots').at(-1)!;
    expect(Buffer.from(last.copy).toString('latin1', 64, 70)).toBe('span:c');
    expect(last.receivedUs).toBeGreaterThan(watch.all('slots')[0]!.receivedUs);
    peer.destroy();
    await watch.until(() => watch.all('closed').length === 1);
    expect(watch.all('closed')).toEqual([lnkConn]);
  });

  it('tells established connections with their orders, and their ends', async () => {
    await dial({ generation: 2 });
    const watch = await new Watched(1).snapshot();
    const { port } = host;
    expect(watch.all('up')).toMatchObject([{ owner: 'o', epoch: 1, generation: 2, host: '127.0.0.2', port }]);
    await dial({ owner: 'p', dialect: ApiDialect.DIALECT_LINKID });
    await watch.until(() => watch.all('up').length === 2);
    host.sockets[0]!.end();
    await watch.until(() => watch.all('down').length === 1);
    expect(watch.all('down')).toEqual([
      { owner: 'o', epoch: 1, generation: 2, reason: 'peer-closed', gatewayStops: false },
    ]);
  });

  it('ends attempts of a former leader that are not established, and its watches', async () => {
    await dial({ owner: 'stands' });
    host.answers = false;
    const begun = dial({ owner: 'begun' }).catch((thrown: unknown) => thrown);
    await host.connected(2);
    const former = await new Watched(1).snapshot();
    const watch = await new Watched(2).snapshot();
    expect(((await begun) as ServiceError).code).toBe(status.ABORTED);
    expect(watch.all('up').map(({ owner }) => owner)).toEqual(['stands']);
    await former.until(() => former.error !== null);
    expect(former.error!.code).toBe(status.FAILED_PRECONDITION);
    const late = new Watched(1);
    await late.until(() => late.error !== null);
    expect(late.error!.metadata.get('spanmesh-epoch')).toEqual(['2']);
  });

  // Limits: link-gateway/src/limits.ts MAX_MEDIA_CHANGES
  it('ends a watcher that leaves more than MAX_MEDIA_CHANGES unread', () => {
    let ended = 0;
    const sent: WatchMediaResponse[] = [];
    const watch = new MediaWatch(
      { gateway: 'g', firstBoot: 'b', lnkConns: [], dialled: [] },
      {
        stream: {
          write: (response) => {
            sent.push(response);
            return false;
          },
          on: () => {},
        },
        clock: new FakeClock(),
        tooSlow: () => ended++,
      },
    );
    const order = { owner: 'o', epoch: 1, generation: 1 } as Order;
    for (let i = 0; i < MAX_MEDIA_CHANGES; i++) watch.down({ order } as DialledConnection, 'peer-closed');
    expect(ended).toBe(0);
    watch.down({ order } as DialledConnection, 'peer-closed');
    expect(ended).toBe(1);
    expect(sent.length).toBeLessThanOrEqual(1);
  });
});

/** A LNK_VOLCONF for a slot. */
function volconf(index: number, path: string) {
  const payload = Buffer.alloc(448);
  payload[0] = 1;
  payload.write(path, 64, 'latin1');
  payload.writeInt32LE(index, 128);
  return { cmd: 0x00002008, msgid: CONN, payload };
}
