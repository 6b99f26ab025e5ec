import { readFileSync } from 'node:fs';
import { type MethodDefinition, type Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { DESCRIPTORS } from '@spanmesh/proto/descriptors';
import { decodePublic, MAX_PUBLIC_REQUEST_BYTES } from './public-requests.ts';

/** Versions of the reflection service that clients use: their names differ, their messages do not. */
const VERSIONS = ['v1', 'v1alpha'] as const;
const NO_REQUEST = `Not a request of server reflection, or one of more than ${MAX_PUBLIC_REQUEST_BYTES} bytes.`;

type Version = (typeof VERSIONS)[number];
type RawStream = Pick<
  ServerDuplexStream<Buffer, Buffer>,
  'on' | 'once' | 'write' | 'end' | 'emit' | 'pause' | 'resume'
>;

/** The part of its stream that @grpc/reflection uses. */
interface MessageStream {
  on(event: 'data', fn: (message: object) => void): void;
  on(event: 'end', fn: () => void): void;
  write(message: object): void;
  end(): void;
}

/** The method and handler that @grpc/reflection would have added to a server for one version. */
interface Served {
  readonly method: MethodDefinition<object, object>;
  readonly handle: (stream: MessageStream) => void;
}

/**
 * Server reflection (grpc/reflection), loaded when it is first called. Loading parses and encodes every descriptor,
 * which takes a third of a process's start and 20 MB, and most processes are never asked for it.
 */
export class LazyReflection {
  readonly #services: readonly string[];
  #loading: Promise<ReadonlyMap<Version, Served>> | undefined;

  /** `services`: full names of the server's services. */
  constructor(services: readonly string[]) {
    this.#services = services;
  }

  addToServer(server: Pick<Server, 'addService'>): void {
    const same = (bytes: Buffer): Buffer => bytes;
    for (const version of VERSIONS) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const raw = {
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      };
      server.addService(
        { serverReflectionInfo: { path, requestStream: true, responseStream: true, ...raw } },
        { serverReflectionInfo: (stream: RawStream) => void this.#serve(version, stream) },
      );
    }
  }

  async #serve(version: Version, stream: RawStream): Promise<void> {
    try {
      this.#loading ??= load(this.#services);
      const served = (await this.#loading).get(version);
      if (served === undefined) throw new Error(`no reflection of ${version}`);
      served.handle(decoded(stream, served.method));
    } catch (error) {
      // The next call tries again.
      this.#loading = undefined;
      fail(stream, status.INTERNAL, `Reflection could not be loaded: ${String(error)}`);
    }
  }
}

async function load(services: readonly string[]): Promise<ReadonlyMap<Version, Served>> {
  const [{ ReflectionService }, { loadFileDescriptorSetFromBuffer, loadSync }, { protoPath }] = await Promise.all([
    import('@grpc/reflection'),
    import('@grpc/proto-loader'),
    import('grpc-health-check'),
  ]);
  const descriptors = { ...loadFileDescriptorSetFromBuffer(readFileSync(DESCRIPTORS)), ...loadSync(protoPath) };
  const served = new Map<Version, Served>();
  const capture: Pick<Server, 'addService'> = {
    addService(definition, implementation) {
      const [name] = Object.keys(implementation);
      const method = Object.values(definition)[0];
      const version = VERSIONS.find((one) => method?.path.includes(`.${one}.`));
      if (name === undefined || method === undefined || version === undefined) return;
      served.set(version, { method, handle: implementation[name] as unknown as Served['handle'] });
    },
  };
  new ReflectionService(descriptors, { services: [...services] }).addToServer(capture);
  return served;
}

/** A stream of decoded messages, written no faster than its client reads. */
function decoded(stream: RawStream, method: MethodDefinition<object, object>): MessageStream {
  return {
    on(event: 'data' | 'end', fn: (message: object) => void): void {
      if (event === 'end') {
        stream.on('end', fn as () => void);
        return;
      }
      stream.on('data', (bytes: Buffer) => {
        let message: object;
        try {
          message = decodePublic(method, bytes);
        } catch {
          fail(stream, status.INVALID_ARGUMENT, NO_REQUEST);
          return;
        }
        fn(message);
      });
    },
    write(message: object): void {
      if (stream.write(method.responseSerialize(message))) return;
      stream.pause();
      stream.once('drain', () => stream.resume());
    },
    end: () => stream.end(),
  };
}

function fail(stream: RawStream, code: status, details: string): void {
  stream.emit('error', Object.assign(new Error(details), { code, details }));
}
