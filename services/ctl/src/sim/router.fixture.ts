import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { BASE_MASK, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import type { Frame } from '@spanmesh/dmsg/frame';
import { decodeLnkConn, encodeLnkConn, type LnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpan, encodeLnkSpan, LNK_SPAN_BYTES, type LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { NIL_UUID } from '@spanmesh/dmsg/uuid';
import { PeerEnd, type PeerEndHandler } from '@spanmesh/dmsg-socket/stream/peer-end';

export interface FakeRouterOptions {
  readonly dialect: Dialect;
  /** Bits 0..31 of the peer_mask of its LNK_CONN. */
  readonly peerMaskLo?: number;
}

/** One event on a connection: its kind, and a message or two. */
export type RouterEvent =
  | { readonly what: 'LNK_CONN'; readonly conn: LnkConn }
  | { readonly what: 'LNK_SPAN'; readonly span: LnkSpan; readonly tx: Transaction }
  | { readonly what: 'end'; readonly of: 'LNK_CONN' | 'LNK_SPAN' }
  | { readonly what: 'answer'; readonly cmd: number; readonly error: number }
  | { readonly what: 'one-way'; readonly cmd: number; readonly error: number; readonly onSpan: boolean }
  | { readonly what: 'request'; readonly cmd: number; readonly tx: Transaction }
  | { readonly what: 'FIN' };

/** The router's side of one connection: a real endpoint that answers as a router does and records events. */
export class RouterSide implements PeerEndHandler {
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  readonly events: RouterEvent[] = [];
  readonly #dialect: Dialect;
  readonly #end: PeerEnd;
  #waiting: { readonly found: () => boolean; readonly resolve: () => void }[] = [];

  constructor({ dialect, peerMaskLo = 0xffffffff }: FakeRouterOptions, socket: Socket) {
    this.#dialect = dialect;
    const rules = rulesOf(dialect);
    this.#end = new PeerEnd({ rules }, { socket, handler: this });
    this.endpoint = this.#end.endpoint;
    this.socket = this.#end.socket;
    this.#end.begin();
    const payload = new Uint8Array(lnkConnBytes(dialect));
    const conn: LnkConn = {
      dialect,
      mediaId: NIL_UUID,
      clusterId: NIL_UUID,
      peerMaskLo,
      peerMaskHi: 0,
      peerType: 1,
      pfsType: 0,
      protoVersion: 1,
      status: 0,
      label: 'router',
    };
    encodeLnkConn(conn, payload, 0);
    this.endpoint.open(rules.lnkConn, null, this.answers, payload);
    this.flush();
  }

  /** Records the messages in transactions that the router opened, and closes these when the peer does. */
  readonly answers: TransactionHandler = {
    onMessage: (tx, frame) => {
      if ((frame.cmd & DELETE) !== 0) this.endpoint.end(tx);
      this.#note({ what: 'answer', cmd: frame.cmd, error: frame.error });
    },
    onLost() {},
  };

  /** Sends a relay. */
  relay(span: LnkSpan): Transaction {
    const payload = new Uint8Array(LNK_SPAN_BYTES);
    encodeLnkSpan(span, payload, 0);
    const tx = this.endpoint.open(LNK_SPAN, null, this.answers, payload);
    this.flush();
    return tx;
  }

  flush(): void {
    this.#end.flush();
  }

  /** The `n`th event of a kind, as soon as it has happened. */
  async nth<W extends RouterEvent['what']>(what: W, n = 1): Promise<Extract<RouterEvent, { what: W }>> {
    const all = (): RouterEvent[] => this.events.filter((event) => event.what === what);
    if (all().length < n) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ found: () => all().length >= n, resolve });
      });
    }
    return all()[n - 1] as Extract<RouterEvent, { what: W }>;
  }

  onFailed(thrown: unknown): void {
    throw thrown;
  }

  onFin(): void {
    this.#note({ what: 'FIN' });
    this.#end.finish();
  }

  onOpen(tx: Transaction, frame: Frame): void {
    const base = frame.cmd & BASE_MASK;
    const isSpan = base === LNK_SPAN;
    if (!isSpan && base !== this.endpoint.rules.lnkConn) {
      this.#note({ what: 'request', cmd: frame.cmd, tx });
      return;
    }
    if (isSpan) this.#note({ what: 'LNK_SPAN', span: decodeLnkSpan(frame, this.#dialect), tx });
    else this.#note({ what: 'LNK_CONN', conn: decodeLnkConn(frame) });
    tx.handler = {
      onMessage: (_tx, message) => {
        if ((message.cmd & DELETE) === 0) return;
        this.#note({ what: 'end', of: isSpan ? 'LNK_SPAN' : 'LNK_CONN' });
        this.endpoint.end(tx);
      },
      onLost() {},
    };
    // protocol.md, "stacking": linkid does not acknowledge a LNK_SPAN.
    if (!isSpan || this.#dialect === 'circuit') this.endpoint.send(tx, LNK_ERROR);
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    this.#note({ what: 'one-way', cmd: frame.cmd, error: frame.error, onSpan: circuit !== null });
  }

  #note(event: RouterEvent): void {
    this.events.push(event);
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ found, resolve }) => {
      if (!found()) return true;
      resolve();
      return false;
    });
  }
}

/** A listener whose connections are RouterSides. */
export class FakeRouter {
  readonly sides: RouterSide[] = [];
  readonly #server: Server;
  #waiting: (() => void)[] = [];
  #port = 0;

  constructor(options: FakeRouterOptions) {
    this.#server = createServer({ allowHalfOpen: false }, (socket) => {
      this.sides.push(new RouterSide(options, socket));
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  get connect() {
    return { host: '127.0.0.1', port: this.#port };
  }

  async start(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as { port: number }).port;
  }

  /** The `n`th connection, as soon as it is accepted. */
  async side(n = 1): Promise<RouterSide> {
    while (this.sides.length < n) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    return this.sides[n - 1]!;
  }

  /** Stops listening and drops all connections. */
  async stop(): Promise<void> {
    for (const { socket } of this.sides) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}
