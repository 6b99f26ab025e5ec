import { SimPeer } from '@spanmesh/ctl/sim/peer';
import { ABORT, BASE_MASK, CREATE, DELETE } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import type { LnkConn } from '@spanmesh/dmsg/payload/lnk-conn';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { until } from '@spanmesh/runtime/patience.fixture';
import { testUuid } from './payloads.ts';
import { PATIENCE_MS } from './raw-peer.ts';

type Dialect = 'linkid' | 'circuit';

/** A command that only echo nodes understand: of protocol DBG, with a header of 128 bytes, so 64 bytes of payload. */
export const ECHO = 0x00100202;
/** Asks for messages: the first word of the payload says how many, the second how much aux data each has. */
export const FLOOD = 0x00100302;
/**
 * Asks the node to open a transaction with the same payload: stacked on this one (circuit), or towards its sender
 * (linkid).
 */
export const CALL_BACK = 0x00100402;
/** A command that is never answered. */
export const SILENCE = 0x00100502;

/** The cluster of all echo nodes' spans, in both dialects. */
export const ECHO_CLUSTER = testUuid(0xec40);

/**
 * A peer with a span. It answers every message of a transaction there with the same command, payload, aux data and
 * DELETE flag.
 */
export class EchoNode {
  /** Messages in transactions, opening ones included. */
  messages = 0;
  /** The errors of all transactions that ended with ABORT. */
  readonly aborts: number[] = [];
  /** Payloads of the answers to transactions that the node opened (CALL_BACK). */
  readonly answers: Buffer[] = [];
  readonly peer: SimPeer;

  private constructor(port: number, dialect: Dialect, node: number) {
    this.peer = new SimPeer(
      { connect: { host: '127.0.0.1', port }, lnkConn: lnkConnOf(dialect), spans: [spanOf(dialect, node)] },
      { random: () => 0.5, service: { onOpen: (tx, frame) => this.#onOpen(tx, frame) } },
    );
  }

  static async start(port: number, dialect: Dialect, node: number): Promise<EchoNode> {
    const made = new EchoNode(port, dialect, node);
    made.peer.start();
    await until(
      () => made.peer.spansOffered === 1,
      () => `an echo node that is up within ${PATIENCE_MS} ms`,
    );
    return made;
  }

  stop(): Promise<void> {
    return this.peer.stop();
  }

  #onOpen(tx: Transaction, frame: Frame): boolean {
    tx.handler = this.#handler;
    this.#onMessage(tx, frame);
    return true;
  }

  readonly #handler: TransactionHandler = {
    onMessage: (tx, frame) => this.#onMessage(tx, frame),
    onLost: (_tx, error) => void this.aborts.push(error),
  };

  /** Handles the transactions that the node opens: records the answer, and ends the transaction. */
  readonly #callBack: TransactionHandler = {
    onMessage: (tx, frame) => {
      if ((frame.cmd & ABORT) !== 0) this.aborts.push(frame.error);
      else this.answers.push(payloadOf(frame));
      if ((frame.cmd & DELETE) !== 0) tx.endpoint.end(tx);
    },
    onLost: (_tx, error) => void this.aborts.push(error),
  };

  #onMessage(tx: Transaction, frame: Frame): void {
    this.messages++;
    const { endpoint } = tx;
    const base = frame.cmd & BASE_MASK;
    const isLast = (frame.cmd & DELETE) !== 0;
    if (isLast && (frame.cmd & ABORT) !== 0) {
      this.aborts.push(frame.error);
      endpoint.end(tx);
      return;
    }
    const payload = payloadOf(frame);
    if (base === SILENCE) {
      if (isLast) endpoint.end(tx);
      return;
    }
    if (base === CALL_BACK && (frame.cmd & CREATE) !== 0) {
      // linkid: addressed to the sender of the message (protocol.md, "Routing, linkid").
      const { fromLo: sourceLo, fromHi: sourceHi, toLo: targetLo, toHi: targetHi } = tx;
      const back = { sourceLo, sourceHi, targetLo, targetHi };
      const { stacked } = endpoint.rules;
      endpoint.open(ECHO, stacked ? tx : null, this.#callBack, payload, 0, null, stacked ? null : back);
    }
    if (base === FLOOD) {
      const [count, bytes] = [payload.readUInt32LE(0), payload.readUInt32LE(4)];
      for (let i = 0; i < count; i++) {
        const number = Buffer.alloc(64);
        number.writeUInt32LE(i, 0);
        endpoint.send(tx, FLOOD, 0, number, Buffer.alloc(bytes, i));
      }
    }
    const auxStart = frame.off + frame.headBytes;
    const aux = Buffer.from(frame.buf.subarray(auxStart, auxStart + frame.auxBytes));
    endpoint.send(tx, base | (isLast ? DELETE : 0), frame.error, payload, aux);
  }
}

function payloadOf(frame: Frame): Buffer {
  return Buffer.from(frame.buf.subarray(frame.off + CORE_HEADER_BYTES, frame.off + frame.headBytes));
}

function lnkConnOf(dialect: Dialect): LnkConn {
  return {
    dialect,
    mediaId: testUuid(1),
    clusterId: ECHO_CLUSTER,
    ...(dialect === 'linkid' ? { pfsFsid: testUuid(2), dist: 0 } : { rnss: 0 }),
    peerMaskLo: 0xffffffff,
    peerMaskHi: 0xffffffff,
    peerType: 3,
    pfsType: 0,
    protoVersion: 1,
    status: 0,
    label: 'echo.example',
  };
}

function spanOf(dialect: Dialect, node: number): LnkSpan {
  return {
    dialect,
    clusterId: ECHO_CLUSTER,
    nodeId: testUuid(node),
    pfsType: 8,
    peerType: 3,
    protoVersion: 1,
    status: 0,
    dist: 0,
    rnss: 0,
    mediaBytes: 0n,
    mediaBlksize: 0,
    peerLabel: dialect === 'circuit' ? 'echo' : '',
    label: `echo${node}`,
  };
}
