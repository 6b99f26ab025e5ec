import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import type { ConnId, GatewayKey } from '@spanmesh/spantree/ids';
import type { Timed } from './timer-heap.ts';

/** Where a target wants to be connected to, and how. Compared by identity: an equal but new object restarts the target. */
export interface Destination extends PeerTarget {
  readonly dialect: Dialect | 'auto';
}

/** An order to a gateway: the later one has the higher (epoch, generation). */
export interface Placed {
  /** The gateway, by `GatewayLink.key`. */
  readonly gateway: GatewayKey;
  readonly epoch: number;
  readonly generation: number;
}

/**
 * What a target is doing; changed in Reconciler only, in one place.
 *
 * * stopped: nothing to connect to, or the policy holds it back. From all others.
 * * waiting: the next try is due at `at` (monotonic). From dialling when it fails, from running when the connection is lost.
 * * ready: a try is due, but an older connection is still being closed, there is no gateway, or too many are being tried. From
 *   stopped, from waiting when it is time, from all others when another destination is wanted.
 * * dialling: a gateway has been told to connect. From ready.
 * * running: the connection is established. From dialling; from stopped, waiting and ready when one of an earlier leader is adopted.
 */
export type TargetState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'waiting'; readonly at: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'dialling'; readonly placed: Placed; readonly destination: Destination }
  | {
      readonly kind: 'running';
      readonly placed: Placed;
      readonly destination: Destination;
      readonly connection: ConnId;
      readonly remoteAddress: string;
      /** Monotonic. */
      readonly upAt: number;
    };

/** STOPPED, CONNECT or RUNNING (volconf.proto, TargetState). */
export function visible(kind: TargetState['kind']): 'stopped' | 'connect' | 'running' {
  return kind === 'stopped' || kind === 'running' ? kind : 'connect';
}

/** A connection that an earlier order may have left: it has to be known to be gone before the next try. */
export interface Leftover {
  readonly placed: Placed;
  readonly reason: string;
  /** A hang-up is under way. */
  asked: boolean;
  /** Not before this (monotonic): the last one had an unknown outcome. */
  retryAt: number;
}

/** Something to be kept connected: one owner of the gateways' Dial service. */
export class Target implements Timed {
  /** dial.proto: opaque to gateways; shown in the tree. */
  readonly owner: string;
  /** Its name for people, in logs. */
  label: string;
  /** Whose tries take turns with others'; empty: operators'. */
  principal = '';
  wanted: Destination | null = null;
  /** The media whose slot it is; empty: an operator's target. */
  mediaId = '';
  /** An operator has set it: it may lead anywhere (dial.proto). */
  byOperator = false;
  /** A slot or an operator's target is shown by it. */
  shown = false;
  /** Set by Reconciler only. */
  state: TargetState = { kind: 'stopped' };
  /** Milliseconds since 1970: when it last became stopped, connecting, or running. */
  since: number;
  /** Rises with every order. */
  generation = 0;
  /** Tries since it was last connected. */
  attempts = 0;
  /** Failures in a row, for the pause: counted anew after a connection that lasted long enough. */
  failures = 0;
  /** The last thing that happened was a failure: the policy lets others step in. */
  failing = false;
  lastError = '';
  /** Milliseconds since 1970; 0: never. */
  lastErrorAt = 0;
  /** By gateway. */
  readonly leftovers = new Map<string, Leftover>();
  heapIndex = -1;
  heapAt = 0;

  /** It is shown for another slot or operator's target than before, whose tries and errors are not its own. */
  begin(): void {
    this.attempts = 0;
    this.failures = 0;
    this.failing = false;
    this.lastError = '';
    this.lastErrorAt = 0;
  }

  constructor(owner: string, label: string, wallMs: number) {
    this.owner = owner;
    this.label = label;
    this.since = wallMs;
  }
}

/** Negative: `a` is the older order. */
export function comparePlaced(a: Omit<Placed, 'gateway'>, b: Omit<Placed, 'gateway'>): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}

/** They lead to the same place in the same way. */
export function sameDestination(a: Destination, b: Destination): boolean {
  return a.host === b.host && a.port === b.port && a.dialect === b.dialect;
}
