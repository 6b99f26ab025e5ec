import type { Random } from '../fuzz/random.ts';
import { drawLeafConn } from '../peer/drawn-peers.ts';
import type { Dialect } from '../peer/wire.ts';
import { CrowdPeer, type CrowdPeerOptions } from './crowd-peer.ts';
import type { LeafKind } from './leaf-kinds.ts';

/** Somebody without a span who calls nodes, one transaction at a time: a leaf, or a client of the API. */
export interface Leaf {
  readonly name: string;
  readonly kind: LeafKind;
  /** Whether it could call a node now, if it sees one. */
  readonly isConnected: boolean;
  /** Number of transactions that are open or have not ended at both sides. */
  readonly hanging: number;
  /** Transactions that were answered, and those that ended before because their way was lost. */
  readonly answered: number;
  readonly lost: number;
  /** Anything that must not happen. */
  readonly faults: readonly string[];
  /** Messages that should not be there when everything is quiet. */
  leftovers(): readonly string[];
  /** Begins a transaction. False: one is open, it is not connected, or it sees no node. */
  ask(): boolean;
  come(): void;
  /** Ends its connection; it does not return before `come`. */
  go(how: 'leave' | 'reset'): void;
  stop(): void;
}

/** A leaf: a peer of either dialect that offers no span (protocol.md, "Leafs"). */
export class DmsgLeaf implements Leaf {
  readonly name: string;
  readonly kind: Dialect;
  readonly peer: CrowdPeer;

  constructor(name: string, kind: Dialect, options: Pick<CrowdPeerOptions, 'address' | 'random' | 'doors'>) {
    this.name = name;
    this.kind = kind;
    this.peer = new CrowdPeer({ ...options, name, part: leafPart(kind, name, options.random) });
  }

  get isConnected(): boolean {
    return this.peer.live !== null;
  }

  get hanging(): number {
    return this.peer.hanging;
  }

  get answered(): number {
    return this.peer.answered;
  }

  get lost(): number {
    return this.peer.allLost;
  }

  get faults(): readonly string[] {
    return this.peer.faults;
  }

  leftovers(): readonly string[] {
    return this.peer.leftovers();
  }

  ask(): boolean {
    return this.peer.ask();
  }

  come(): void {
    this.peer.come();
  }

  go(how: 'leave' | 'reset'): void {
    this.peer.go(how);
  }

  stop(): void {
    this.peer.stop();
  }
}

function leafPart(dialect: Dialect, label: string, random: Random) {
  return { dialect, conns: [drawLeafConn(dialect, label, random)], spans: [], mostOpen: 1 };
}
