import { type Client, Metadata, type ServerWritableStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  ListTargetsRequest,
  ListTargetsResponse,
  VolconfClient,
  VolconfService,
  WatchTargetsRequest,
  WatchTargetsResponse,
} from '@spanmesh/proto/v1/volconf';
import { afterEach, describe, expect, it } from 'vitest';
import { FORWARDED_HEADER } from '../access/passed-on-caller.ts';
import { serviceGate } from '../access/service-callers.ts';
import { Certificates, recordingLogger } from '../tls/certificates.fixture.ts';
import { VOLCONF_NAME } from '../tls/service-names.ts';
import { channelCredentials, meaning, serverCredentials } from '../tls/tls-credentials.ts';
import { Forwarder, REPLICA_HEADER } from './forwarder.ts';
import { createClient, PLAINTEXT } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';

const { logger } = recordingLogger();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Watching = ServerWritableStream<WatchTargetsRequest, WatchTargetsResponse>;

/** A replica that answers with its own name, unless a test sets another answer, and keeps watches open. */
class Replica {
  leader: string | null = null;
  address = '';
  isMute = false;
  readonly watches: Watching[] = [];
  readonly calls: Metadata[] = [];
  #waiting: (() => void)[] = [];
  readonly forwarder: Forwarder;
  readonly #server: GrpcServer;
  readonly #name: string;

  constructor(
    { name }: { name: string },
    { security = PLAINTEXT, server = {} }: { security?: typeof PLAINTEXT; server?: object } = {},
  ) {
    this.forwarder = new Forwarder({ leader: () => this.leader, security });
    this.#server = new GrpcServer(
      { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST', security: server },
      { logger },
    );
    this.#name = name;
  }
  async start(): Promise<this> {
    const own = {
      listTargets: (call: { metadata: Metadata }, done: (error: unknown, answer?: unknown) => void) => {
        this.#called(call.metadata);
        if (this.isMute) return;
        const answer = ListTargetsResponse.fromPartial({ nextPageToken: this.#name });
        done(null, answer);
      },
      getTarget: (_: unknown, done: (error: unknown) => void) =>
        done({ code: status.NOT_FOUND, details: `${this.#name} does not know it` }),
      watchTargets: (call: Watching) => {
        this.watches.push(call);
        this.#called(call.metadata);
      },
    };
    const { definition, implementation } = this.forwarder.wrap(VolconfService, own);
    this.#server.addService(definition, implementation);
    this.address = `127.0.0.1:${await this.#server.start()}`;
    cleanups.push(() => this.#server.stop(0));
    cleanups.push(() => this.forwarder.stop());
    return this;
  }

  async called(times: number): Promise<void> {
    while (this.calls.length < times) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #called(metadata: Metadata): void {
    this.calls.push(metadata);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

async function pair() {
  const leader = await new Replica({ name: 'leader' }).start();
  const standby = await new Replica({ name: 'standby' }).start();
  standby.leader = leader.address;
  return { leader, standby, client: open(standby) };
}

function open({ address }: Replica, security = PLAINTEXT): VolconfClient {
  const client = createClient(VolconfClient, address, { security });
  cleanups.push(() => (client as Client).close());
  return client;
}

function list(client: VolconfClient, metadata = new Metadata()) {
  return new Promise<{ by: string; replica: string; code: status; details: string }>((resolve) => {
    let replica = '';
    const call = client.listTargets(ListTargetsRequest.create(), metadata, (error, answer) => {
      const { code = status.OK, details = '' } = error ?? {};
      resolve({ by: answer?.nextPageToken ?? '', replica, code, details });
    });
    call.on('metadata', (headers) => {
      replica = String(headers.get(REPLICA_HEADER)[0] ?? '');
    });
  });
}

describe('a replica that does not lead', () => {
  it('passes calls on, and names the replica that has answered', async () => {
    const { leader, standby, client } = await pair();
    expect(await list(client)).toEqual({ by: 'leader', replica: leader.address, code: status.OK, details: '' });
    expect(standby.forwarder.forwarded).toBe(1);
    standby.leader = null;
    expect(await list(client)).toMatchObject({ by: 'standby', replica: '' });
  });

  it('passes on the leader’s errors, and who has failed', async () => {
    const { client } = await pair();
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.getTarget({ name: 'x' }, (failed) => resolve(failed)),
    );
    expect(error).toMatchObject({ code: status.NOT_FOUND, details: 'leader does not know it' });
  });

  it('passes on requests and answers as they came, with fields that it does not know', async () => {
    const asItIs = (bytes: Buffer) => bytes;
    const raw = { requestDeserialize: asItIs, responseSerialize: asItIs };
    const later = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    later.addService(
      {
        listTargets: { ...VolconfService.listTargets, ...raw },
        watchTargets: { ...VolconfService.watchTargets, ...raw },
      },
      {
        listTargets: ({ request }: { request: Buffer }, done: (error: null, answer: Buffer) => void) =>
          done(null, request),
        watchTargets: (call: ServerWritableStream<Buffer, Buffer>) => {
          call.write(call.request);
          call.end();
        },
      },
    );
    const standby = await new Replica({ name: 'standby' }).start();
    standby.leader = `127.0.0.1:${await later.start()}`;
    cleanups.push(() => later.stop(0));
    const client: Client = open(standby);
    // An unknown field, 1000, a varint of 5; before it a known one of each message, `next_page_token` or `page_token`.
    const bytes = Buffer.from([0x12, 1, 0x61, 0xc0, 0x3e, 5]);
    const answer = new Promise((resolve, reject) =>
      client.makeUnaryRequest(VolconfService.listTargets.path, asItIs, asItIs, bytes, (error, got) =>
        error === null ? resolve(got) : reject(error),
      ),
    );
    expect(await answer).toEqual(bytes);
    const stream = client.makeServerStreamRequest(VolconfService.watchTargets.path, asItIs, asItIs, bytes);
    const got: Buffer[] = [];
    for await (const one of stream) got.push(one as Buffer);
    expect(got).toEqual([bytes]);
  });

  it('passes no call on twice: two replicas that take each other for the leader end it at once', async () => {
    const { leader, standby, client } = await pair();
    leader.leader = standby.address;
    expect(await list(client)).toMatchObject({ by: 'leader', replica: leader.address });
    expect(leader.calls[0]!.get(FORWARDED_HEADER)).toEqual(['caller']);
  });

  it('says that it cannot reach the leader', async () => {
    const { standby, client } = await pair();
    standby.leader = '127.0.0.1:1';
    expect(await list(client)).toMatchObject({
      code: status.UNAVAILABLE,
      details: expect.stringMatching(/^The leader at 127\.0\.0\.1:1 does not answer: try again\./),
    });
  });

  it('ends calls that wait for a leader that is replaced', async () => {
    const { leader, standby, client } = await pair();
    leader.isMute = true;
    const waiting = list(client);
    await leader.called(1);
    standby.leader = null;
    standby.forwarder.leaderChanged();
    expect(await waiting).toMatchObject({ code: status.UNAVAILABLE, details: 'The leader has changed: call again.' });
  });

  it('passes streams on, at the speed of their reader, and ends them when either side does', async () => {
    const { leader, client } = await pair();
    const watch = client.watchTargets(WatchTargetsRequest.create());
    watch.on('error', () => {});
    let read = 0;
    watch.on('data', () => {
      if (read++ === 0) watch.pause();
    });
    await leader.called(1);
    const [upstream] = leader.watches;
    // Nobody reads the stream, so writing comes to a stop at the leader.
    const message = WatchTargetsResponse.fromPartial({ removed: 'x'.repeat(100_000) });
    let written = 1;
    while (upstream!.write(message) && written < 1000) written++;
    while (written < 1000 && (await Promise.race([drained(upstream!), quiet()]))) {
      while (upstream!.write(message) && written < 1000) written++;
      written++;
    }
    expect(written).toBeLessThan(1000);
    upstream!.on('drain', () => upstream!.end());
    const whole = new Promise((resolve) => watch.on('end', resolve));
    watch.resume();
    await whole;
    expect(read).toBe(written);
    const second = client.watchTargets(WatchTargetsRequest.create());
    second.on('error', () => {});
    await leader.called(2);
    const cancelled = new Promise((resolve) => leader.watches[1]!.on('cancelled', () => resolve('cancelled')));
    second.cancel();
    expect(await cancelled).toBe('cancelled');
  });

  it('shows its certificate to the leader', async () => {
    const certificates = new Certificates();
    cleanups.push(() => certificates.remove());
    const files = certificates.watched([VOLCONF_NAME]);
    const server = { credentials: serverCredentials(files, 'required'), gate: serviceGate };
    const leader = await new Replica({ name: 'leader' }, { server }).start();
    const security = { credentials: channelCredentials(files), options: meaning(VOLCONF_NAME) };
    const standby = await new Replica({ name: 'standby' }, { security }).start();
    standby.leader = leader.address;
    expect(await list(open(standby))).toMatchObject({ by: 'leader' });
  });
});

function drained(stream: Watching): Promise<boolean> {
  return new Promise((resolve) => stream.once('drain', () => resolve(true)));
}

/** Waits long enough for a stream over loopback to take more, if it does. */
function quiet(): Promise<boolean> {
  return new Promise((resolve) => setTimeout(resolve, 300, false));
}
