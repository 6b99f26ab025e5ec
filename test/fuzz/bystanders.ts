import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import {
  CREATE,
  DELETE,
  type Dialect,
  ERROR,
  isCmd,
  LNK_CONN,
  LNK_ERROR,
  LNK_SPAN,
  type Message,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../peer/wire.ts';

/**
 * Two well-behaved peers of one dialect among the hostile ones: one offers a span, the other gets its relay. Their
 * codec is the tests' own and strict, so that they also check every relay of a hostile peer's span.
 */
export class Bystanders {
  readonly #dialect: Dialect;
  readonly #giver: LivePeer;
  readonly #taker: LivePeer;
  #span = 0n;
  #turn = 0;

  private constructor(dialect: Dialect, giver: LivePeer, taker: LivePeer) {
    this.#dialect = dialect;
    this.#giver = giver;
    this.#taker = taker;
  }

  static async connect(dialect: Dialect, port: number): Promise<Bystanders> {
    // Messages of hostile peers that the router passes on may have any bytes in unused fields, so only the router's own
    // are checked.
    const where = { port, dialect, checkZero: 'own' } as const;
    const giver = await LivePeer.connect({ ...where, localAddress: '127.0.0.254', name: `${dialect} giver` });
    const taker = await LivePeer.connect({ ...where, localAddress: '127.0.0.253', name: `${dialect} taker` });
    await giver.openConn({ label: 'good giver', cluster: testUuid(0x600d0001) });
    await taker.openConn({ label: 'good taker', cluster: testUuid(0x600d0002) });
    for (const peer of [giver, taker]) refuseTransactions(peer);
    const pair = new Bystanders(dialect, giver, taker);
    await pair.#offer();
    return pair;
  }

  /**
   * Checks that the span is still relayed, PINGs are answered, and another span is relayed in place of the first.
   * @throws Error: one of these fails, or one of the peers has received bytes that break the protocol.
   */
  async check(): Promise<void> {
    this.#checkLinks();
    const { held } = this.#taker;
    const node = this.#node();
    if (![...held.values()].some(({ span }) => span.node === node))
      throw new Error(`${this.#dialect}: the relay is gone`);
    await Promise.all([this.#giver.barrier(), this.#taker.barrier()]);
    await this.#giver.close(this.#span);
    await this.#taker.relayGone((span) => span.node === node, 'the end of the relay');
    await this.#offer();
    this.#checkLinks();
    for (const { raw } of [this.#giver, this.#taker]) {
      raw.log.length = 0;
      raw.inbox.length = 0;
    }
  }

  #checkLinks(): void {
    for (const { raw } of [this.#giver, this.#taker]) {
      if (raw.fault !== null) throw raw.fault;
      if (raw.isEnded) throw new Error(`${raw.name}: disconnected`);
    }
  }

  destroy(): void {
    this.#giver.raw.destroy();
    this.#taker.raw.destroy();
  }

  async #offer(): Promise<void> {
    this.#turn++;
    const node = this.#node();
    // A HAMMER2 span with a cluster, which linkid relays.
    this.#span = this.#giver.openSpan({ cluster: testUuid(0x600d0000), node, peerType: 3, nodeLabel: 'good' });
    await this.#taker.relay((span) => span.node === node, 'the relay');
  }

  #node(): string {
    return testUuid(0x60000000 + this.#turn);
  }
}

/**
 * Ends each transaction that a hostile peer opens through the router at once. Without an answer it would stay open,
 * rightly, for ever.
 */
function refuseTransactions({ raw, dialect }: LivePeer): void {
  const inner = raw.intercept;
  const isLinks = (message: Message) => isCmd(message, CREATE | LNK_SPAN) || isCmd(message, CREATE | LNK_CONN[dialect]);
  raw.intercept = (message) => {
    if (inner(message)) return true;
    const { cmd, msgid, circuit, target } = message;
    if (msgid === 0n || (cmd & CREATE) === 0 || (cmd & REPLY) !== 0 || isLinks(message)) return false;
    const end = CREATE | DELETE | REPLY | LNK_ERROR;
    if (dialect === 'linkid') {
      raw.send({ cmd: end, msgid, error: ERROR.NOSUPP, circuit: target, target: circuit });
      return true;
    }
    // The answer goes in the other direction.
    const rev = circuit !== 0n && (cmd & REVCIRC) === 0 ? REVTRANS | REVCIRC : REVTRANS;
    raw.send({ cmd: end | rev, msgid, error: ERROR.NOSUPP, circuit });
    return true;
  };
}
