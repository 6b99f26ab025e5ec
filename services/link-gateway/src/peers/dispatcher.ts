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

/** Takes the commands of one debug shell. */
export interface ShellHandler {
  /** A command as a transaction. */
  open(peer: Peer, tx: Transaction, frame: Frame): void;
  /** A one-way command; `circuit`: what it names as its circuit. */
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
 * Who handles what peers begin: the table of protocol.md, "Transactions", and the commands of "Message". What is stacked on a relay, or on
 * a transaction that is passed on, does not come here: the handler of that takes it.
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
      // On a circuit of the peer's own (its span, its LNK_CONN), or of ours and for ourselves, the transaction is for the router itself
      // (protocol.md, "Routing, circuit").
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
    // Never answered: the references answer each other's answers for ever.
    if ((frame.cmd & REPLY) !== 0) {
      // On a circuit it answers what was passed on.
      if (circuit === null) peer.liveness.answered(base, frame.error);
      return;
    }
    switch (base) {
      case LNK_PAD:
      case LNK_ERROR:
        return;
      case LNK_SPAN:
        // A status of nothing; the references are silent, too.
        metrics.ignoredMessages++;
        return;
      case DBG_SHELL:
        shell.oneWay(peer, frame, circuit);
        return;
      case LNK_PING:
        // The linkid reference does not know PING, and its peers expect that.
        if (endpoint.rules.stacked) endpoint.oneWay(LNK_PING | REPLY, 0, null, null, circuit);
        else endpoint.oneWay(LNK_ERROR | REPLY, ErrorCode.NOSUPP);
        return;
      default:
        metrics.unknownCommands++;
        endpoint.oneWay(LNK_ERROR | REPLY, ErrorCode.NOSUPP, null, null, circuit);
    }
  }
}

/** It may be for somebody else: circuit: it runs on something; linkid: it names a source or a target. */
function isRouted(rules: DialectRules, frame: Frame): boolean {
  if ((frame.circuitLo | frame.circuitHi) !== 0) return true;
  return !rules.stacked && (frame.targetLo | frame.targetHi) !== 0;
}
