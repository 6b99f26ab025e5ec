import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BASE_MASK, DELETE, LNK_ERROR, LNK_PING, LNK_SPAN, REPLY } from '@spanmesh/dmsg/command';
import { type Dialect, type DialectRules, rulesOf } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { PeerEnd } from '@spanmesh/dmsg-socket/stream/peer-end';
import { lnkConnPayload } from '../testing/gateway.fixture.ts';

/**
 * A peer with an endpoint of its own, which counts any message that breaks a rule of protocol.md as a fault of the
 * router. It keeps its LNK_CONN open, accepts every relay, and otherwise answers as the test tells it.
 */
export class EndNode {
  readonly dialect: Dialect;
  readonly rules: DialectRules;
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** Open relays, in the order in which they came. */
  readonly relays: Transaction[] = [];
  /** The first violation of the protocol by the router; null: none. */
  fault: unknown = null;
  closed = false;
  /**
   * Called for transactions that the router or other peers open: on our span, on a transaction of ours or on one of
   * theirs.
   */
  onOpen: (tx: Transaction, frame: Frame) => void = () => {};
  onOneWay: (frame: Frame, circuit: Transaction | null) => void = () => {};

  readonly #end: PeerEnd;
  #pings = 0;
  #pongs = 0;
  #wake: (() => void)[] = [];

  private constructor(socket: Socket, dialect: Dialect) {
    this.dialect = dialect;
    this.rules = rulesOf(dialect);
    const ended = () => {
      this.closed = true;
      this.#notify();
    };
    this.#end = new PeerEnd(
      { rules: this.rules },
      {
        socket,
        handler: {
          onOpen: (tx, frame) => this.#opened(tx, frame),
          onOneWay: (frame, circuit) => this.#heard(frame, circuit),
          onRead: () => {
            this.flush();
            this.#notify();
          },
          onFailed: (thrown) => {
            this.fault ??= thrown;
            this.#end.cut();
          },
          onFin: ended,
          onBroken: ended,
          onClose: ended,
        },
      },
    );
    this.endpoint = this.#end.endpoint;
    this.socket = this.#end.socket;
    this.#end.begin();
  }

  /** Connects to a gateway on this host and opens LNK_CONN. */
  static async connect(port: number, dialect: Dialect, lnkConn = lnkConnPayload(dialect)): Promise<EndNode> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.setNoDelay(true);
    await once(socket, 'connect');
    const node = new EndNode(socket, dialect);
    node.endpoint.open(node.rules.lnkConn, null, QUIET, lnkConn);
    node.flush();
    return node;
  }

  /** Offers a span. */
  span(payload: Uint8Array): Transaction {
    const tx = this.endpoint.open(LNK_SPAN, null, QUIET, payload);
    this.flush();
    return tx;
  }

  /** linkid: source and target of a message from our span to a relay. */
  address(span: Transaction, relay: Transaction): LinkAddress {
    return {
      sourceLo: span.msgidLo,
      sourceHi: span.msgidHi,
      targetLo: relay.msgidLo,
      targetHi: relay.msgidHi,
    };
  }

  /** Writes the queued messages to the socket. */
  flush(): void {
    this.#end.flush();
  }

  /**
   * Sends a PING and resolves with its answer. By then the router has handled all messages that we sent before, and all
   * that it sent before have come.
   */
  async barrier(): Promise<void> {
    const ping = ++this.#pings;
    this.endpoint.oneWay(LNK_PING);
    this.flush();
    await this.until(() => this.#pongs >= ping);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.fault !== null) throw this.fault;
      if (this.closed) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    if (this.fault !== null) throw this.fault;
  }

  destroy(): void {
    this.closed = true;
    this.socket.destroy();
  }

  #opened(tx: Transaction, frame: Frame): void {
    const base = frame.cmd & BASE_MASK;
    if (tx.circuit === null && base === this.rules.lnkConn) {
      tx.handler = QUIET;
      this.endpoint.send(tx, LNK_ERROR);
    } else if (tx.circuit === null && base === LNK_SPAN) {
      tx.handler = this.#relayHandler;
      if (this.rules.stacked) this.endpoint.send(tx, LNK_ERROR);
      this.relays.push(tx);
    } else {
      this.onOpen(tx, frame);
    }
  }

  readonly #relayHandler: TransactionHandler = {
    onMessage: (tx, frame) => {
      if ((frame.cmd & DELETE) === 0) return;
      this.endpoint.end(tx);
      this.relays.splice(this.relays.indexOf(tx), 1);
    },
    onLost: (tx) => {
      this.relays.splice(this.relays.indexOf(tx), 1);
    },
  };

  #heard(frame: Frame, circuit: Transaction | null): void {
    const base = frame.cmd & BASE_MASK;
    const isOurs = circuit === null && (frame.circuitLo | frame.circuitHi | frame.targetLo | frame.targetHi) === 0;
    if (isOurs && (frame.cmd & REPLY) !== 0 && (base === LNK_PING || base === LNK_ERROR)) this.#pongs++;
    else this.onOneWay(frame, circuit);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}

const QUIET: TransactionHandler = {
  onMessage(tx, frame) {
    if ((frame.cmd & DELETE) !== 0) tx.endpoint.end(tx);
  },
  onLost() {},
};
