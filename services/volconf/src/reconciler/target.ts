import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import type { ConnId, GatewayKey } from '@spanmesh/spantree/ids';
import type { Timed } from './timer-heap.ts';

/**
 * The host, port and dialect that a target wants. Compared by identity: an equal but new object restarts the target.
 */
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
 * The state of a target; changed in Reconciler only, in one place.
 *
 * * stopped: there is no destination, or the policy holds the target back. From all other states.
 * * waiting: the next attempt is due at `at` (monotonic). From dialling when it fails, from running when the connection
 *   is lost.
 * * ready: an attempt is due, but an older connection is still being closed, there is no gateway, or too many attempts
 *   are under way. From stopped, from waiting when it is time, from all others when another destination is wanted.
 * * dialling: a gateway has been ordered to connect. From ready.
 * * running: the connection is established. From dialling; from stopped, waiting and ready when an earlier leader's
 *   connection is adopted.
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
      /** When it was established or first reported, by the monotonic clock. */
      readonly upAt: number;
    };

/** The state as users see it: STOPPED, CONNECT or RUNNING (volconf.proto, TargetState). */
export function visible(kind: TargetState['kind']): 'stopped' | 'connect' | 'running' {
  return kind === 'stopped' || kind === 'running' ? kind : 'connect';
}

/** A connection that an earlier order may have left. It must be known to be gone before the next attempt. */
export interface Leftover {
  readonly placed: Placed;
  readonly reason: string;
  /** A hang-up is under way. */
  asked: boolean;
  /** When the next hang-up is due, by the monotonic clock: the last one had an unknown outcome. */
  retryAt: number;
}

/** Something that must be kept connected: one owner of the gateways' Dial service. */
export class Target implements Timed {
  /** The owner in dial.proto, which gateways do not interpret; it is shown in the tree. */
  readonly owner: string;
  /** The name for people, in logs. */
  label: string;
  /** The principal whose attempts take turns with those of others; empty: operators. */
  principal = '';
  wanted: Destination | null = null;
  /** Id of the media whose slot it is; empty: an operator's target. */
  mediaId = '';
  /** An operator has set the target, so any destination is allowed (dial.proto). */
  byOperator = false;
  /** A slot or an operator's target refers to this target. */
  shown = false;
  /** Set by Reconciler only. */
  state: TargetState = { kind: 'stopped' };
  /** Milliseconds since 1970: when it last became stopped, connecting, or running. */
  since: number;
  /** Rises with every order. */
  generation = 0;
  /** Attempts since it was last connected. */
  attempts = 0;
  /** Failures in a row, for the pause; 0 again after a connection that lasted long enough. */
  failures = 0;
  /** The last attempt or connection has failed: the policy then chooses other slots, too. */
  failing = false;
  lastError = '';
  /** Milliseconds since 1970; 0: never. */
  lastErrorAt = 0;
  /** The leftovers by gateway. */
  readonly leftovers = new Map<string, Leftover>();
  heapIndex = -1;
  heapAt = 0;

  /**
   * Resets the counts of attempts and errors, because another slot or operator's target uses this target from now on.
   */
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

/** Whether both name the same host, port and dialect. */
export function sameDestination(a: Destination, b: Destination): boolean {
  return a.host === b.host && a.port === b.port && a.dialect === b.dialect;
}
