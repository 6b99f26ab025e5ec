import { BASE_MASK, BLK_ERROR, BLK_OPEN, BLK_READ, BLK_WRITE, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { encodeBlkIo, encodeBlkOpen } from '@spanmesh/dmsg/payload/blk';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { EndingsOptions } from '../../shares/endings.ts';
import { type Member, Mesh, type Span } from '../mesh.fixture.ts';

/** The cluster (peer_id) of all spans that the fixtures offer. */
export const CLUSTER = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';

/** The fields of a BLK_READ or BLK_WRITE. */
export interface Block {
  readonly keyid?: number;
  readonly offset?: number;
  readonly bytes?: number;
  readonly flags?: number;
}

/** The payload of a BLK_READ, BLK_WRITE or BLK_FREEBLKS. */
export function ioPayload({ keyid = 7, offset = 0, bytes = 4096, flags = 0 }: Block): Uint8Array {
  const payload = new Uint8Array(64);
  const [offsetLo, offsetHi] = [offset % 2 ** 32, Math.floor(offset / 2 ** 32)];
  encodeBlkIo({ keyidLo: keyid, keyidHi: 0, offsetLo, offsetHi, bytes, flags }, payload, 0);
  return payload;
}

/** The payload of a BLK_OPEN. `modes`: 1 read, 2 write. */
export function openPayload(modes: number): Uint8Array {
  const payload = new Uint8Array(64);
  encodeBlkOpen({ modes }, payload, 0);
  return payload;
}

/** Records the messages in an asker's transaction as `word error aux`, without the flags that every answer has. */
export class Answer implements TransactionHandler {
  readonly messages: string[] = [];
  /** The bytes after the core header (payload and aux data) of each message. */
  readonly bytes: Buffer[] = [];
  isOver = false;

  onMessage(tx: Transaction, { cmd, error, buf, off, headBytes, auxBytes, auxPadded }: Frame): void {
    const aux = Buffer.from(buf.subarray(off + headBytes, off + headBytes + auxBytes)).toString('latin1');
    this.messages.push(`${(cmd & BASE_MASK).toString(16)} ${error} ${aux.slice(0, 20)}`);
    this.bytes.push(Buffer.from(buf.subarray(off + 64, off + headBytes + auxPadded)));
    if ((cmd & DELETE) !== 0) this.#end(tx);
  }

  onLost(_tx: Transaction, error: number): void {
    this.messages.push(`lost ${error}`);
    this.isOver = true;
  }

  #end(tx: Transaction): void {
    this.isOver = true;
    tx.endpoint.end(tx);
  }
}

/** An answer, with the asker's transaction that it comes in. */
export type AskerAnswer = Answer & { readonly tx: Transaction };

/** A request that was sent to the node. */
export interface Asked {
  readonly tx: Transaction;
  readonly base: number;
  readonly payload: Buffer;
  readonly aux: string;
  /** Command words of the asker's further messages, and `lost` with the error. */
  readonly said: string[];
}

/**
 * A node whose reads are consolidated, and askers on its gateway or on another one. The node answers when the test says
 * so.
 */
export class BlocksWorld {
  readonly mesh: Mesh;
  readonly node: Member;
  readonly span: Span;
  /** Requests that were sent to the node, except BLK_OPENs, which the node grants at once. */
  readonly asked: Asked[] = [];
  /** BLK_OPENs that the node has been sent. */
  readonly opens: Transaction[] = [];
  grants = true;

  private constructor(mesh: Mesh, node: Member, span: Span) {
    this.mesh = mesh;
    this.node = node;
    this.span = span;
    node.node.onOpen = (tx, frame) => this.#opened(tx, frame);
  }

  static async start({
    gateways = 1,
    clusters = CLUSTER,
    endings = {},
  }: {
    gateways?: 1 | 2;
    clusters?: string;
    endings?: EndingsOptions;
  } = {}) {
    const mesh = await Mesh.start({ SPANMESH_CONSOLIDATE_READS: clusters }, gateways, endings);
    const node = await mesh.join('circuit');
    return new BlocksWorld(mesh, node, await mesh.span(node));
  }

  get consolidated(): number {
    return this.mesh.gateway.gateway.counters.readsConsolidated;
  }

  get askedAgain(): number {
    return this.mesh.gateway.gateway.counters.readsAskedAgain;
  }

  /** A peer that has a relay of the node's span, on the node's gateway or on the last one. */
  async asker(where: 'here' | 'there' = 'here'): Promise<Asker> {
    const member = await this.mesh.join('circuit', where === 'here' ? this.mesh.gateway : this.mesh.gateways.at(-1));
    return new Asker(member, await this.mesh.relaySpan(this.span, member));
  }

  async askers(count: number, where: 'here' | 'there' = 'here'): Promise<Asker[]> {
    const askers: Asker[] = [];
    while (askers.length < count) askers.push(await this.asker(where));
    return askers;
  }

  /** Waits until all messages have arrived; throws unless the node has been sent this number of requests. */
  async nodeWasAsked(times: number): Promise<void> {
    await this.mesh.settled(1);
    if (this.asked.length !== times) throw new Error(`the node was asked ${this.asked.length} times, not ${times}`);
  }

  /** The node answers a request; `last` false: with a part of the answer, and more follows. */
  answer({ tx }: Asked, data: string | Buffer = 'data', { error = 0, last = true } = {}): void {
    const aux = typeof data === 'string' ? Buffer.from(data) : data;
    const payload = Buffer.alloc(128, 0xe1);
    this.node.node.endpoint.send(tx, last ? BLK_ERROR | DELETE : BLK_ERROR, error, payload, aux);
    this.node.node.flush();
  }

  stop(): Promise<void> {
    return this.mesh.stop();
  }

  #opened(tx: Transaction, frame: Frame): void {
    const { cmd, buf, off, headBytes, auxBytes } = frame;
    const base = cmd & BASE_MASK;
    const said: string[] = [];
    tx.handler = {
      onMessage: (_tx, message) => {
        said.push(message.cmd.toString(16));
        if ((message.cmd & DELETE) !== 0) tx.endpoint.end(tx);
      },
      onLost: (_tx, error) => void said.push(`lost ${error}`),
    };
    if (base === BLK_OPEN) {
      this.opens.push(tx);
      if (this.grants) tx.endpoint.send(tx, LNK_ERROR);
      else tx.endpoint.end(tx, 9);
      return;
    }
    const payload = Buffer.from(buf.subarray(off + 64, off + headBytes));
    const aux = Buffer.from(buf.subarray(off + headBytes, off + headBytes + auxBytes)).toString('latin1');
    this.asked.push({ tx, base, payload, aux, said });
  }
}

/** A peer that reads and writes blocks of the node. */
export class Asker {
  readonly member: Member;
  readonly relay: Transaction;

  constructor(member: Member, relay: Transaction) {
    this.member = member;
    this.relay = relay;
  }

  /** Opens the device; resolves when the node has answered. */
  async open(modes = 1): Promise<Transaction> {
    const answer = new Answer();
    const tx = this.member.node.endpoint.open(BLK_OPEN, this.relay, answer, openPayload(modes));
    this.flush();
    await this.member.node.until(() => answer.messages.length > 0);
    return tx;
  }

  /** `on`: the transaction that the read is stacked on; `last`: the asker sends nothing more in it. */
  read(block: Block = {}, { on = this.relay, last = true } = {}): AskerAnswer {
    return this.#send(last ? BLK_READ | DELETE : BLK_READ, block, on, null);
  }

  write(block: Block = {}, { on = this.relay, last = true, data = 'new' } = {}): AskerAnswer {
    return this.#send(last ? BLK_WRITE | DELETE : BLK_WRITE, block, on, Buffer.from(data));
  }

  async until(answer: Answer): Promise<void> {
    await this.member.node.until(() => answer.isOver);
  }

  flush(): void {
    this.member.node.flush();
  }

  #send(cmd: number, block: Block, on: Transaction, aux: Buffer | null): AskerAnswer {
    const answer = new Answer();
    const tx = this.member.node.endpoint.open(cmd, on, answer, ioPayload(block), 0, aux);
    this.flush();
    return Object.assign(answer, { tx });
  }
}
