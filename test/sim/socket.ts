import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import type { Connected, End, Network } from './network.ts';

/** Most bytes that may be sent and not read yet. */
const WINDOW_BYTES = 256 * 1024;
/** One write in this many arrives in small parts. */
const PARTS_ONE_IN = 6;
const MOST_PARTS = 5;

const FIN = Symbol('FIN');

interface SocketOptions {
  readonly allowHalfOpen: boolean;
}

/** A simulated net.Socket, with the methods that the services and the tests' peers use. */
export class SimSocket extends Duplex {
  remoteAddress: string | undefined;
  remotePort: number | undefined;
  localAddress: string | undefined;
  localPort: number | undefined;
  connecting: boolean;
  readonly #network: Network;
  #end: End | null = null;
  /** Received and not read yet, including FIN. */
  readonly #unread: (Buffer | typeof FIN)[] = [];
  #wants = false;
  #onTheWay = 0;
  #waiting: (() => void) | null = null;
  #hasSentFin = false;
  #resets = false;

  private constructor(network: Network, end: End | null, { allowHalfOpen }: SocketOptions) {
    super({ allowHalfOpen, highWaterMark: 64 * 1024, emitClose: true });
    this.#network = network;
    this.connecting = end === null;
    if (end !== null) this.#use(end);
  }

  static accepted(network: Network, end: End, options: SocketOptions): SimSocket {
    return new SimSocket(network, end, options);
  }

  static connect(
    network: Network,
    { host, port, allowHalfOpen }: SocketOptions & { host: string; port: number },
  ): SimSocket {
    const socket = new SimSocket(network, null, { allowHalfOpen });
    const process = network.kernel.current;
    if (process === null) throw new Error('who connects must be somebody');
    network.connect(
      process,
      host,
      port,
      (how) => socket.#connected(how),
      () => socket.destroyed,
    );
    return socket;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  destroySoon(): void {
    if (!this.writableEnded) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  resetAndDestroy(): this {
    this.#resets = true;
    return this.destroy();
  }

  override _read(): void {
    this.#wants = true;
    this.#give();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.connecting) {
      this.once('connect', () => this._write(chunk, _encoding, done));
      return;
    }
    // A copy: the writer may reuse its memory once it is told that the write is done.
    const bytes = Buffer.from(chunk);
    this.#onTheWay += bytes.length;
    for (const part of this.#parts(bytes)) this.#end?.send(part, part);
    if (this.#onTheWay <= WINDOW_BYTES) done();
    else this.#waiting = done;
  }

  override _final(done: () => void): void {
    if (this.connecting) {
      this.once('connect', () => this._final(done));
      return;
    }
    this.#hasSentFin = true;
    this.#end?.send(FIN, 'FIN');
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const end = this.#end;
    if (end !== null && !end.isClosed) {
      // TCP answers with a reset if a socket is closed with unread bytes.
      if (this.#resets || this.#unread.some((item) => item !== FIN)) end.reset();
      else {
        if (!this.#hasSentFin) end.send(FIN, 'FIN');
        end.close();
      }
    }
    this.#waiting = null;
    done(error);
  }

  #connected(how: Connected): void {
    if (how.kind !== 'connected') {
      const code = how.kind === 'refused' ? 'ECONNREFUSED' : 'ETIMEDOUT';
      this.destroy(Object.assign(new Error(code), { code }));
      return;
    }
    this.connecting = false;
    this.#use(how.end);
    this.emit('connect');
    this.emit('ready');
  }

  #use(end: End): void {
    this.#end = end;
    this.localAddress = end.host;
    this.localPort = end.port;
    this.remoteAddress = end.other.host;
    this.remotePort = end.other.port;
    end.receive = (item) => {
      this.#unread.push(item as Buffer | typeof FIN);
      this.#give();
    };
    end.lost = () => {
      const code = 'ECONNRESET';
      this.destroy(Object.assign(new Error(`read ${code}`), { code }));
    };
    sockets.set(end, this);
  }

  /**
   * Tells the other side that `bytes` were read, so that it may send more. Only a sender that waits needs that; it
   * takes the network's delay.
   */
  #taken(bytes: number): void {
    const theirs = this.#end?.other;
    const socket = theirs === undefined ? undefined : sockets.get(theirs);
    if (theirs === undefined || socket === undefined) return;
    if (!socket.#isWaiting) {
      socket.#onTheWay -= bytes;
      return;
    }
    const { kernel } = this.#network;
    kernel.at(theirs.process, kernel.now + this.#network.delay(theirs.other.host, theirs.host), () => {
      socket.#credited(bytes);
    });
  }

  get #isWaiting(): boolean {
    return this.#waiting !== null;
  }

  #credited(bytes: number): void {
    this.#onTheWay -= bytes;
    const waiting = this.#waiting;
    if (waiting === null || this.#onTheWay > WINDOW_BYTES) return;
    this.#waiting = null;
    waiting();
  }

  #give(): void {
    while (this.#wants && this.#unread.length > 0 && !this.destroyed) {
      const item = this.#unread.shift()!;
      if (item === FIN) {
        this.push(null);
        return;
      }
      this.#taken(item.length);
      this.#wants = this.push(item);
    }
  }

  #parts(bytes: Buffer): Buffer[] {
    const { random } = this.#network;
    if (bytes.length < 2 || !random.oneIn(PARTS_ONE_IN)) return [bytes];
    const parts: Buffer[] = [];
    let at = 0;
    for (let n = random.few(MOST_PARTS); n > 0 && at < bytes.length - 1; n--) {
      const size = 1 + random.below(bytes.length - at - 1);
      parts.push(bytes.subarray(at, at + size));
      at += size;
    }
    parts.push(bytes.subarray(at));
    return parts;
  }
}

const sockets = new WeakMap<End, SimSocket>();

interface ServerOptions {
  readonly allowHalfOpen?: boolean;
  readonly blockList?: { check(address: string, family?: string): boolean };
}

/** A simulated net.Server. */
export class SimServer extends EventEmitter {
  readonly #network: Network;
  readonly #options: ServerOptions;
  readonly #acceptor: { readonly process: NonNullable<Network['kernel']['current']>; accept(end: End): void };
  #address: { readonly address: string; readonly port: number } | null = null;

  constructor(network: Network, options: ServerOptions, accept: (socket: SimSocket) => void) {
    super();
    this.#network = network;
    this.#options = options;
    const process = network.kernel.current;
    if (process === null) throw new Error('who listens must be somebody');
    this.#acceptor = {
      process,
      accept: (end) => {
        if (this.#options.blockList?.check(end.other.host, 'ipv4') === true) end.reset();
        else accept(SimSocket.accepted(network, end, { allowHalfOpen: this.#options.allowHalfOpen ?? false }));
      },
    };
  }

  listen({ host, port }: { host: string; port: number }, done: () => void): this {
    const got = this.#network.listen(this.#acceptor, host, port);
    if (got === null) {
      this.#network.kernel.immediate(() =>
        this.emit('error', Object.assign(new Error('EADDRINUSE'), { code: 'EADDRINUSE' })),
      );
      return this;
    }
    this.#address = { address: host, port: got };
    this.#network.kernel.immediate(done);
    return this;
  }

  address(): { readonly address: string; readonly port: number } | null {
    return this.#address;
  }

  close(): this {
    if (this.#address !== null) this.#network.unlisten(this.#address.address, this.#address.port, this.#acceptor);
    return this;
  }
}
