import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as NodeTlsOptions, TLSSocket } from 'node:tls';
import { type ConnectionOptions, type NatsConnection, NatsError } from 'nats';
import {
  checkOptions,
  NatsConnectionImpl,
  setTransportFactory,
  type Transport,
} from 'nats/lib/nats-base-client/internal_mod.js';
import { loadSecretFile } from '../../secrets/secret-file.ts';
import { VERSION } from '../../version.ts';
import type { NatsAddress } from './nats-servers.ts';
import { systemLookup } from './system-lookup.ts';

/** Longest first line of a server, bytes: in a large cluster it names some hundred addresses. */
const MAX_INFO_BYTES = 64 * 1024;
/** A name may have several addresses: after this time the next one is tried, too, ms. */
const NEXT_ADDRESS_MS = 500;
const LINE_END = 0x0a;
/** Code of the error for a server that does not speak NATS. */
const NOT_NATS = 'NOT_NATS';
const INFO = /^INFO\s+(\{.*\})\s*$/i;

/** The parts of a server's first line that matter before it is answered. */
interface ServerInfo {
  readonly tls_required?: boolean;
  readonly tls_available?: boolean;
}

/** Options of a dial. */
interface DialOptions extends ConnectionOptions {
  /** The name that the server's certificate must carry; not set: its host. */
  readonly tlsName?: string | undefined;
}

/**
 * idle     nothing was done yet
 *   dialing  connecting to a server, until its first line has come and TLS is established; the library neither reads
 * nor writes
 *   open     the library reads and writes
 *   closed   for good; `error`: the fault, if there was one
 */
type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'dialing'; readonly socket: Socket; readonly abort: (error: Error) => void }
  | { readonly kind: 'open'; readonly socket: Socket; readonly first: Uint8Array }
  | { readonly kind: 'closed'; readonly error: Error | undefined };

/**
 * One connection with a NATS server, used by the library's client. The library's own transport is not used. When an
 * attempt there takes too long its socket lives on; when that ends at last, the library takes it for the end of its
 * present connection, makes another, and reads both. Besides, this one looks names up as the system does (in the hosts
 * file, too), and limits the memory that a server can fill.
 */
export class NatsTransport implements Transport {
  readonly lang = 'spanmesh';
  readonly version = VERSION;
  readonly #lookup: LookupFunction;
  readonly #closed = Promise.withResolvers<Error | undefined>();
  #state: State = { kind: 'idle' };

  /** `lookup`: the system's by default; tests pass their own. */
  constructor({ lookup = systemLookup }: { readonly lookup?: LookupFunction } = {}) {
    this.#lookup = lookup;
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  get closeError(): Error | undefined {
    return this.#state.kind === 'closed' ? this.#state.error : undefined;
  }

  /** Resolves once the server's first line has come, and TLS is established if it is used. `close` ends the attempt. */
  async connect(server: Parameters<Transport['connect']>[0], options: DialOptions): Promise<void> {
    const { hostname, port } = server;
    const socket = connectTcp({
      host: hostname,
      port,
      noDelay: true,
      lookup: this.#lookup,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    });
    const aborted = Promise.withResolvers<never>();
    this.#become({ kind: 'dialing', socket, abort: aborted.reject });
    try {
      const [opened, first] = await Promise.race([this.#open(socket, hostname, options), aborted.promise]);
      // Closed at the very moment in which the connection was established.
      if (this.isClosed) throw this.closeError ?? hungUp();
      this.#become({ kind: 'open', socket: opened, first });
      opened.once('error', (error) => this.#lost(error));
      opened.once('close', () => this.#lost(undefined));
    } catch (error) {
      socket.destroy();
      this.#become({ kind: 'closed', error: error as Error });
      throw error;
    }
  }

  /** The bytes from the server, until the connection ends; none are yielded after that. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    if (this.#state.kind !== 'open') return;
    const { socket, first } = this.#state;
    yield first;
    try {
      for await (const chunk of socket) yield chunk as Uint8Array;
    } catch (error) {
      this.#lost(error as Error);
    } finally {
      // Also when the reader stops early: it will not read the rest later.
      socket.destroy();
    }
  }

  isEncrypted(): boolean {
    return this.#state.kind === 'open' && this.#state.socket instanceof TLSSocket;
  }

  send(frame: Uint8Array): void {
    if (this.#state.kind === 'open' && this.#state.socket.writable) this.#state.socket.write(frame);
  }

  /** Closed by the owner, who need not be told: `closed` does not resolve. */
  async close(error?: Error): Promise<void> {
    const state = this.#state;
    this.#become({ kind: 'closed', error });
    if (state.kind === 'open') state.socket.destroy();
    if (state.kind !== 'dialing') return;
    state.socket.destroy();
    state.abort(error ?? new NatsError('closed while connecting', 'CONNECTION_CLOSED'));
  }

  /** The library takes the server for dead: `closed` resolves. */
  disconnect(): void {
    this.#lost(undefined);
  }

  /** Resolves when an established connection is lost. */
  closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  discard(): void {
    // Nothing to do: the socket is closed by `close`.
  }

  /** The one place where the state changes. */
  #become(state: State): void {
    this.#state = state;
  }

  #lost(error: Error | undefined): void {
    if (this.#state.kind !== 'open') return;
    const { socket } = this.#state;
    this.#become({ kind: 'closed', error });
    socket.destroy();
    this.#closed.resolve(error);
  }

  /** The socket to use (with TLS around it if needed), and the bytes to be read first. */
  async #open(socket: Socket, hostname: string, options: DialOptions): Promise<[Socket, Uint8Array]> {
    const line = await firstLine(socket);
    const info = parseInfo(line);
    checkOptions(info as Parameters<typeof checkOptions>[0], options);
    const { tls_required: isRequired = false, tls_available: isOffered = false } = info;
    const isWanted = isRequired || (isOffered && options.tls !== null);
    if (!isWanted) return [socket, line];
    // Bytes after the line would come before the server has shown its certificate.
    if (line.indexOf(LINE_END) !== line.length - 1) throw new NatsError('more than one line before TLS', 'TLS');
    return [await secured(socket, options.tlsName ?? hostname, options), line];
  }
}

/** Connects with one server, once: a lost connection is not made again. @throws errors of the library */
export async function dialNats({ address, tlsName }: NatsAddress, options: ConnectionOptions): Promise<NatsConnection> {
  // The library has one factory for the whole process, which its own `connect` replaces.
  setTransportFactory({ factory: () => new NatsTransport() });
  const dial: DialOptions = { ...options, tlsName, servers: [address], reconnect: false, resolve: false };
  try {
    return await NatsConnectionImpl.connect(dial);
  } catch (error) {
    // The library uses this code for a server that hangs up without an error, as it does for a certificate that it does
    // not know. If nobody listens, the error is the system's.
    throw error instanceof NatsError && error.code === 'CONNECTION_REFUSED' ? hungUp() : error;
  }
}

function hungUp(): NatsError {
  return new NatsError('closed by the server', 'CONNECTION_CLOSED');
}

/** The first line of a server, and whatever bytes came with it. */
function firstLine(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let got = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    got = Buffer.concat([got, chunk]);
    if (got.includes(LINE_END)) {
      socket.pause();
      resolve(got);
    } else if (got.length > MAX_INFO_BYTES) {
      reject(new NatsError('it does not say who it is', NOT_NATS));
    }
  };
  const onClose = (): void => reject(hungUp());
  socket.on('data', onData);
  // Stays: an error on a socket without such a listener would end the process.
  socket.on('error', reject);
  socket.once('close', onClose);
  return promise.finally(() => {
    socket.off('data', onData);
    socket.off('close', onClose);
  });
}

function parseInfo(got: Buffer): ServerInfo {
  const [, json] = INFO.exec(got.toString('utf8', 0, got.indexOf(LINE_END))) ?? [];
  try {
    const info: unknown = JSON.parse(json ?? '');
    if (typeof info === 'object' && info !== null) return info;
  } catch {
    // Reported below.
  }
  throw new NatsError('what answers is no NATS server', NOT_NATS);
}

/** The socket with TLS. `name`: the name that the certificate must carry. */
async function secured(socket: Socket, name: string, { tls }: ConnectionOptions): Promise<Socket> {
  const { caFile, certFile, keyFile } = tls ?? {};
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map((file) => file && loadSecretFile(file)));
  const options: NodeTlsOptions = {
    socket,
    host: name,
    ...(isIP(name) === 0 && { servername: name }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const secure = connectTls(options, () => resolve(secure));
  secure.on('error', reject);
  secure.once('close', () => reject(hungUp()));
  return promise;
}
