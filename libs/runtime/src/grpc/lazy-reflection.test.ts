import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { beforeAll, expect, it } from 'vitest';
import { settle } from '../fake-time.fixture.ts';
import { LazyReflection } from './lazy-reflection.ts';

const TOPOLOGY = 'spanmesh.v1.Topology';
/** A ServerReflectionRequest that asks for the list of services. */
const LIST = Buffer.from([0x3a, 0x01, 0x2a]);

/** The server's end of a call. */
class FakeStream extends EventEmitter {
  /** What has happened to it, in order. */
  readonly seen: string[] = [];
  readonly written: Buffer[] = [];
  isFull = false;
  readonly #handled = Promise.withResolvers<void>();
  /** Resolves when it is listened to, or has failed. */
  readonly handled = this.#handled.promise;

  constructor() {
    super();
    super.on('error', ({ code, details }: { code: status; details: string }) => {
      this.seen.push(`${status[code]}: ${details}`);
      this.#handled.resolve();
    });
  }

  override on(event: string, listener: (...args: never[]) => void): this {
    this.#handled.resolve();
    return super.on(event, listener as (...args: unknown[]) => void);
  }

  write(bytes: Buffer): boolean {
    this.written.push(bytes);
    return !this.isFull;
  }

  end(): void {
    this.seen.push('end');
  }

  pause(): void {
    this.seen.push('pause');
  }

  resume(): void {
    this.seen.push('resume');
  }
}

const methods = new Map<string, { definition: object; serve: (stream: FakeStream) => void }>();
beforeAll(() => {
  new LazyReflection([TOPOLOGY]).addToServer({
    addService: (definition, { serverReflectionInfo: serve }) => {
      for (const method of Object.values(definition)) {
        methods.set(method.path, { definition: method, serve: serve as unknown as (stream: FakeStream) => void });
      }
    },
  });
});

async function call(version = 'v1'): Promise<FakeStream> {
  const stream = new FakeStream();
  methods.get(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`)?.serve(stream);
  await stream.handled;
  await settle();
  return stream;
}

it.each(['v1', 'v1alpha'])('answers in the version %s', async (version) => {
  const stream = await call(version);
  stream.emit('data', LIST);
  await settle();
  expect(stream.written).toHaveLength(1);
  expect(stream.written[0]?.toString()).toContain(TOPOLOGY);
  stream.emit('data', LIST);
  await settle();
  expect(stream.written).toHaveLength(2);
  expect(stream.seen).toEqual([]);
  stream.emit('end');
  await settle();
  expect(stream.seen).toEqual(['end']);
});

it('reads no further request while the client does not read the answers', async () => {
  const stream = await call();
  stream.isFull = true;
  stream.emit('data', LIST);
  await settle();
  expect(stream.seen).toEqual(['pause']);
  stream.emit('drain');
  stream.emit('drain');
  expect(stream.seen).toEqual(['pause', 'resume']);
});

it('ends a call whose bytes are no request', async () => {
  const stream = await call();
  stream.emit('data', Buffer.from([0x0a, 0xff]));
  await settle();
  expect([stream.seen, stream.written]).toEqual([
    ['INVALID_ARGUMENT: Not a request of server reflection, or one of more than 4096 bytes.'],
    [],
  ]);
});

it('has methods of streams both ways, whose messages stay as they are', () => {
  const bytes = Buffer.from([1]);
  expect([...methods.keys()]).toEqual([
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  ]);
  for (const { definition } of methods.values()) {
    expect(definition).toMatchObject({ requestStream: true, responseStream: true });
    for (const part of Object.values(definition)) {
      if (typeof part === 'function') expect(part(bytes)).toBe(bytes);
    }
  }
});
