import { REVCIRC, REVTRANS } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { EndNode } from '@spanmesh/link-gateway/routing/end-node.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { Installation } from './installation.ts';
import { connBody, connFields, PEER, spanBody, spanFields, testUuid } from './payloads.ts';
import { kept, scrape } from './scrape.ts';
import type { Dialect } from './wire.ts';

/** Records the messages of one transaction, in order. */
export class Heard implements TransactionHandler {
  /**
   * Each message as `word error`, the error only if there is one. REV bits are left out: the endpoint has checked them.
   */
  readonly words: string[] = [];
  readonly payloads: Buffer[] = [];
  readonly auxes: Buffer[] = [];

  take({ cmd, error, buf, off, headBytes, auxBytes }: Frame): void {
    this.words.push(word(cmd & ~(REVTRANS | REVCIRC)) + (error === 0 ? '' : ` ${error.toString(16)}`));
    this.payloads.push(Buffer.from(buf.subarray(off + 64, off + headBytes)));
    this.auxes.push(Buffer.from(buf.subarray(off + headBytes, off + headBytes + auxBytes)));
  }

  onMessage(_tx: Transaction, frame: Frame): void {
    this.take(frame);
  }

  onLost(_tx: Transaction, error: number): void {
    this.words.push(`lost ${error.toString(16)}`);
  }
}

/** A command word as text, as in protocol.md's "Words on the wire". */
export function word(...parts: number[]): string {
  return (parts.reduce((all, part) => all | part, 0) >>> 0).toString(16).padStart(8, '0');
}

/** A transaction that the other party has opened here. */
export interface Taken {
  readonly tx: Transaction;
  readonly heard: Heard;
}

/** A peer with a span and the relay of another party's span. */
export class Party {
  readonly node: EndNode;
  readonly span: Transaction;
  /** Transactions that others have opened here, in order. */
  readonly taken: Taken[] = [];

  constructor(node: EndNode, span: Transaction) {
    this.node = node;
    this.span = span;
    node.onOpen = (tx, frame) => {
      const heard = new Heard();
      heard.take(frame);
      tx.handler = heard;
      this.taken.push({ tx, heard });
    };
  }

  get relay(): Transaction {
    return this.node.relays[0]!;
  }

  /** linkid: source and target of its messages, from its own span to the relay. */
  get address(): LinkAddress | null {
    return this.node.dialect === 'linkid' ? this.node.address(this.span, this.relay) : null;
  }

  /** Opens a transaction to the other party. The message is not written yet. */
  open(
    cmd: number,
    handler: TransactionHandler,
    { aux = null, payload = null }: { aux?: Uint8Array | null; payload?: Uint8Array | null } = {},
  ): Transaction {
    const circuit = this.node.dialect === 'circuit' ? this.relay : null;
    return this.node.endpoint.open(cmd, circuit, handler, payload, 0, aux, this.address);
  }

  oneWay(cmd: number, aux: Uint8Array | null = null): void {
    const circuit = this.node.dialect === 'circuit' ? this.relay : null;
    this.node.endpoint.oneWay(cmd, 0, null, aux, circuit, this.address);
    this.node.flush();
  }

  send(tx: Transaction, cmd: number, aux: Uint8Array | null = null, error = 0): void {
    this.node.endpoint.send(tx, cmd, error, null, aux);
    this.node.flush();
  }

  end(tx: Transaction, error = 0, abort = false): void {
    this.node.endpoint.end(tx, error, abort);
    this.node.flush();
  }

  /** Closes our direction of all open transactions with other parties. */
  endAll(): void {
    for (const tx of this.node.endpoint.transactions()) {
      if (tx.handler instanceof Heard) this.node.endpoint.end(tx);
    }
    this.node.flush();
  }

  /** Waits for the nth transaction that others have opened here. */
  async take(n: number): Promise<Taken> {
    await this.node.until(() => this.taken.length > n);
    return this.taken[n]!;
  }
}

/** A topology and two gateways in processes of their own, with parties connected to them. */
export class RouteWorld {
  readonly installation: Installation;
  readonly #parties: Party[] = [];
  #labels = 0;

  private constructor(installation: Installation) {
    this.installation = installation;
  }

  static async start(env: Record<string, string> = {}): Promise<RouteWorld> {
    return new RouteWorld(await Installation.start(2, env));
  }

  /** Connects a party that has a span of its own, and a LNK_CONN that asks for the types in `mask`. */
  async join(gateway: number, dialect: Dialect, { peerType = PEER.HAMMER2 as number, mask = 0xffn } = {}) {
    // Labels differ, so that no party is taken for a new connection of another one (architecture.md, "Half-dead
    // peers").
    const label = `party ${++this.#labels}`;
    const conn = connBody(dialect, connFields({ label, peerMask: mask }));
    const node = await EndNode.connect(this.installation.gateways[gateway]!.dmsg[dialect], dialect, conn);
    const span = node.span(spanBody(dialect, spanFields({ node: testUuid(this.#labels), peerType })));
    const party = new Party(node, span);
    this.#parties.push(party);
    return party;
  }

  /** A requester on the first gateway and an owner on the second, each holding the relay of the other's span. */
  async pair(dialect: Dialect): Promise<{ requester: Party; owner: Party }> {
    const requester = await this.join(0, dialect);
    const owner = await this.join(1, dialect);
    for (const { node } of [requester, owner]) await node.until(() => node.relays.length === 1);
    return { requester, owner };
  }

  /**
   * As `pair`, linkid; but the owner does not ask for spans of the requester's type, so the selection does not relay
   * the requester's span to it.
   */
  async oneSided(): Promise<{ requester: Party; owner: Party }> {
    const requester = await this.join(0, 'linkid', { peerType: PEER.BLOCK });
    const owner = await this.join(1, 'linkid', { mask: 1n << BigInt(PEER.HAMMER2) });
    await requester.node.until(() => requester.node.relays.length === 1);
    await owner.node.barrier();
    return { requester, owner };
  }

  /** The contents of each gateway's tables (`kept`). */
  kept(): Promise<Record<string, number>[]> {
    return Promise.all(this.installation.gateways.map(({ ports }) => kept(ports.http)));
  }

  /**
   * Waits until there is no transaction between one party on each gateway, and no bytes wait. LNK_CONNs, spans and
   * relays stay open.
   */
  async noTransactions(): Promise<void> {
    let found: Record<string, number>[] = [];
    await until(
      async () => {
        found = await this.kept();
        return found.every((each) => {
          const of = (name: string) => each[`spanmesh_gateway_${name}`] ?? 0;
          const waiting = of('queued_bytes') + of('trunk_queued_bytes') + of('receive_pending_bytes');
          // The two LNK_CONNs, the span and the relay.
          return (
            of('open{table="transactions"}') === 4 && of('trunk_transactions') === of('trunk_routes') && waiting === 0
          );
        });
      },
      () => `the gateways hold ${JSON.stringify(found)}`,
    );
  }

  /** Waits until the tables of both gateways have exactly these contents again. */
  async holds(expected: Record<string, number>[]): Promise<void> {
    let found: Record<string, number>[] = [];
    await until(
      async () => {
        found = await this.kept();
        return JSON.stringify(found) === JSON.stringify(expected);
      },
      () => `the gateways hold ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`,
    );
  }

  /**
   * Disconnects all parties, and waits until the tables of both gateways and of topology are empty: the next party
   * could get the relay of a link that topology does not know to be closed yet.
   */
  async clear(): Promise<void> {
    for (const { node } of this.#parties.splice(0)) node.destroy();
    await this.installation.emptied();
  }

  /** Counts of the gateways' internal faults, and of faults that they saw in the parties' messages. */
  async faults(): Promise<number[]> {
    const found: number[] = [];
    for (const { ports } of this.installation.gateways) {
      for (const [name, value] of await scrape(ports.http)) {
        if (/^spanmesh_gateway_(internal_errors|protocol_errors)_total/.test(name)) found.push(value);
        if (/^spanmesh_gateway_trunk_lost_total.*(internal|protocol-error)/.test(name)) found.push(value);
      }
    }
    return found.filter((value) => value !== 0);
  }

  /** Everybody goes, and nothing of them is left. */
  async stop(): Promise<void> {
    for (const { node } of this.#parties.splice(0)) node.destroy();
    try {
      await this.installation.emptied();
    } finally {
      await this.installation.stop();
    }
  }
}
