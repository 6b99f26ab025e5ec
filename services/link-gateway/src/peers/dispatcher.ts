import { BASE_MASK, DBG_SHELL, DELETE, LNK_ERROR, LNK_PAD, LNK_PING, LNK_SPAN, REPLY } from '@spanmesh/dmsg/command';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../metrics.ts';
import { isLinkLayer, refusesLinkLayer } from './link-layer.ts';
import type { Links } from './links.ts';
import type { LnkConns } from './lnk-conns.ts';
import type { Peer } from './peer.ts';
import type { AddressedRouting } from './routing.ts';

/** Runs the debug-shell commands (DBG_SHELL) of peers. */
export interface ShellHandler {
  /** A peer opens a DBG_SHELL transaction: one command. */
  open(peer: Peer, tx: Transaction, frame: Frame): void;
  /**
   * A peer sends a command as a one-way message; `circuit`: the open transaction that the message names as its circuit.
   */
  oneWay(peer: Peer, frame: Frame, circuit: Transaction | null): void;
}

export interface DispatcherDependencies {
  readonly metrics: GatewayMetrics;
  readonly lnkConns: LnkConns;
  readonly links: Links;
  readonly shell: ShellHandler;
  readonly routing: AddressedRouting;
}

/**
 * Hands each transaction that a peer opens, and each one-way message, to its handler: the table of protocol.md,
 * "Transactions", and the commands of "Message". Messages stacked on a relay, or on a transaction that is passed on, do
 * not come here: the handler of that relay or transaction takes them.
 */
export class Dispatcher {
  readonly #deps: DispatcherDependencies;

  constructor(deps: DispatcherDependencies) {
    this.#deps = deps;
  }

  /** A peer opens a transaction (EndpointHandler.onOpen). */
  open(peer: Peer, tx: Transaction, frame: Frame): void {
    const { lnkConns, links, shell, routing, metrics } = this.#deps;
    const { endpoint } = tx;
    if (isRouted(endpoint.rules, frame)) {
      if (refusesLinkLayer(tx, frame, metrics)) return;
      if (tx.circuit === null) {
        routing.open(peer, tx, frame);
        return;
      }
      // The circuit is one of the peer's own (its span, its LNK_CONN), or one of ours that is not passed on: the
      // transaction is for the router itself (protocol.md, "Routing, circuit").
    }
    metrics.handled++;
    const base = frame.cmd & BASE_MASK;
    if (tx.circuit === null && base === endpoint.rules.lnkConn) lnkConns.open(peer, tx, frame);
    else if (tx.circuit === null && base === LNK_SPAN) links.open(peer, tx, frame);
    else if (base === DBG_SHELL) shell.open(peer, tx, frame);
    else if (base === LNK_PING && endpoint.rules.stacked) endpoint.send(tx, LNK_PING | DELETE);
    else {
      // LNK_AUTH and, in linkid, PING too (protocol.md, "Message").
      metrics.unknownCommands++;
      endpoint.end(tx, ErrorCode.NOSUPP);
    }
  }

  /** A one-way message of a peer (EndpointHandler.onOneWay). */
  oneWay(peer: Peer, frame: Frame, circuit: Transaction | null): void {
    const { shell, routing, metrics } = this.#deps;
    const { endpoint } = peer.connection;
    if (endpoint === null) return;
    if (isRouted(endpoint.rules, frame)) {
      if (isLinkLayer(frame)) {
        metrics.routedDropped++;
        return;
      }
      if (circuit === null) {
        routing.oneWay(peer, frame);
        return;
      }
    }
    metrics.handled++;
    const base = frame.cmd & BASE_MASK;
    // A reply is never answered: the references answer each other's answers for ever.
    if ((frame.cmd & REPLY) !== 0) {
      // A reply on a circuit answers a message that was passed on, not our PING.
      if (circuit === null) peer.liveness.answered(base, frame.error);
      return;
    }
    switch (base) {
      case LNK_PAD:
      case LNK_ERROR:
        return;
      case LNK_SPAN:
        // A span's status message that names no span. The references do not answer it either.
        metrics.ignoredMessages++;
        return;
      case DBG_SHELL:
        shell.oneWay(peer, frame, circuit);
        return;
      case LNK_PING:
        // The linkid reference does not know PING and answers NOSUPP; its peers expect that.
        if (endpoint.rules.stacked) endpoint.oneWay(LNK_PING | REPLY, 0, null, null, circuit);
        else endpoint.oneWay(LNK_ERROR | REPLY, ErrorCode.NOSUPP);
        return;
      default:
        metrics.unknownCommands++;
        endpoint.oneWay(LNK_ERROR | REPLY, ErrorCode.NOSUPP, null, null, circuit);
    }
  }
}

/** True if the message may be for another peer: in circuit it runs on a circuit; in linkid it names a target. */
function isRouted(rules: DialectRules, frame: Frame): boolean {
  if ((frame.circuitLo | frame.circuitHi) !== 0) return true;
  return !rules.stacked && (frame.targetLo | frame.targetHi) !== 0;
}
