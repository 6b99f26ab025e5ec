import { BASE_MASK, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Deltas } from './attach.ts';
import type { Connection } from './connection.ts';
import { RELAY_PACE_BYTES } from './limits.ts';
import type { LnkConn } from './lnk-conn.ts';
import type { GatewayMetrics } from './metrics.ts';
import { Relay } from './relay.ts';
import type { RelaySource } from './relay-source.ts';

export interface RelaysDependencies {
  readonly deltas: Deltas;
  readonly metrics: GatewayMetrics;
}

/**
 * Opens and closes relays, and is the handler of all their transactions: one object for hundreds of thousands of relays, which
 * it tells apart by the transaction's `data`. A relay that we closed has no `data` any more; what the peer still sends in
 * its transaction is the answer.
 */
export class Relays implements TransactionHandler {
  /** What relays add to rnss (circuit), as the leader says (protocol.md, "The link layer" 2). */
  rnssAdd = 0;

  readonly #deltas: Deltas;
  readonly #metrics: GatewayMetrics;

  constructor({ deltas, metrics }: RelaysDependencies) {
    this.#deltas = deltas;
    this.#metrics = metrics;
  }

  /** Opens a relay; one that is open already stays as it is. `n`: number of the command that asks for it. */
  open(source: RelaySource, lnkConn: LnkConn, n: number): void {
    const known = source.relays.get(lnkConn.id);
    if (known !== undefined) {
      // The refusal of a relay counts if it is not older than the last command for the pair.
      known.n = n;
      return;
    }
    forgetRefusal(source, lnkConn);
    const relay = new Relay(source, lnkConn, n);
    source.relays.set(lnkConn.id, relay);
    lnkConn.relays.add(relay);
    this.#metrics.relays++;
    const { connection } = lnkConn;
    if (connection.waitingRelays.length > 0 || connection.queuedBytes >= RELAY_PACE_BYTES) {
      connection.waitingRelays.push(relay);
    } else {
      this.#begin(relay, connection);
    }
  }

  /** Closes a relay. What runs on it ends first, leaves first (protocol.md, "stacking"): the endpoint sees to that. */
  close(relay: Relay): void {
    const { tx } = relay;
    this.#forget(relay);
    if (tx !== null) tx.endpoint.end(tx);
  }

  /** Closes the relay of a link on a LNK_CONN, if there is one, and forgets that it was refused. */
  closePair(source: RelaySource, lnkConn: LnkConn): void {
    forgetRefusal(source, lnkConn);
    const relay = source.relays.get(lnkConn.id);
    if (relay !== undefined) this.close(relay);
  }

  /** The link is gone (architecture.md, "Loss is local"): closes all its relays on this gateway. */
  closeAllOf(source: RelaySource): void {
    for (const relay of source.relays.values()) this.close(relay);
    if (source.refusedBy !== null) for (const lnkConn of source.refusedBy) lnkConn.refused?.delete(source);
    source.refusedBy = null;
  }

  /** The LNK_CONN is gone: closes (or, when its connection was lost, forgets) all its relays. */
  closeAllOn(lnkConn: LnkConn): void {
    for (const relay of lnkConn.relays) this.close(relay);
    if (lnkConn.refused !== null) for (const source of lnkConn.refused) source.refusedBy?.delete(lnkConn);
    lnkConn.refused = null;
  }

  /** The connection has room again: opens relays that wait for it. */
  resume(connection: Connection): void {
    const waiting = connection.waitingRelays;
    let at = 0;
    while (at < waiting.length && connection.queuedBytes < RELAY_PACE_BYTES) {
      const relay = waiting[at++]!;
      if (!relay.closed) this.#begin(relay, connection);
    }
    connection.waitingRelays = at === waiting.length ? [] : waiting.slice(at);
  }

  /** The peer, in a relay of ours: its acknowledgement (circuit), its refusal, or the answer to our DELETE. */
  onMessage(tx: Transaction, frame: Frame): void {
    const relay = tx.data as Relay | null;
    if ((frame.cmd & DELETE) === 0) {
      if ((frame.cmd & BASE_MASK) !== LNK_ERROR) this.#metrics.ignoredMessages++;
      return;
    }
    if (relay === null) return;
    // protocol.md, "The link layer" 4: the peer closes a relay; we close our side.
    this.#forget(relay);
    tx.endpoint.end(tx);
    this.#metrics.relaysRefused++;
    const { source, lnkConn } = relay;
    source.refusedBy ??= new Set();
    source.refusedBy.add(lnkConn);
    lnkConn.refused ??= new Set();
    lnkConn.refused.add(source);
    this.#deltas.delta.refusals.push({
      lnkConn: lnkConn.id,
      linkGateway: source.gateway,
      link: source.link,
      n: relay.n,
    });
    this.#deltas.touch();
  }

  /** Its connection was lost. */
  onLost(tx: Transaction): void {
    const relay = tx.data as Relay | null;
    if (relay !== null) this.#forget(relay);
  }

  #begin(relay: Relay, connection: Connection): void {
    const { endpoint } = connection;
    if (endpoint === null) return;
    this.#metrics.relaysOpened++;
    relay.tx = endpoint.open(LNK_SPAN, null, this, relay.source.template(this.rnssAdd));
    relay.tx.data = relay;
  }

  #forget(relay: Relay): void {
    const { source, tx } = relay;
    relay.closed = true;
    this.#metrics.relays--;
    source.relays.delete(relay.lnkConn.id);
    if (source.relays.size === 0) source.dropTemplate();
    relay.lnkConn.relays.delete(relay);
    if (tx !== null) tx.data = null;
    relay.tx = null;
  }
}

function forgetRefusal(source: RelaySource, lnkConn: LnkConn): void {
  if (source.refusedBy?.delete(lnkConn) === true) lnkConn.refused?.delete(source);
}
