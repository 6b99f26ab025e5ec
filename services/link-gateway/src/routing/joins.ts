import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayMetrics } from '../metrics.ts';
import { Joined } from './joined.ts';
import type { RouteClasses } from './route-class.ts';
import { RoutedSample } from './routed-sample.ts';

/** Handlers of joined transactions: which one a transaction has says where its messages come from, and where they go. */
export class Joins {
  /** Of those whose messages come from a connection of this gateway, and go out on one. */
  readonly toPeer: Joined;
  /** Of those whose messages come from a trunk, and go out on a connection. */
  readonly fromTrunk: Joined;
  /** Of those whose messages go out on a trunk. */
  readonly toTrunk: Joined;

  readonly sample: RoutedSample;

  /** Joined transactions that are open and measured. */
  get sampled(): number {
    return this.sample.size;
  }

  constructor(deps: { metrics: GatewayMetrics; classes: RouteClasses; clock: Pick<Clock, 'now'> }) {
    const { metrics, clock } = deps;
    const { local, trunk } = deps.classes;
    const sample = new RoutedSample({ clock, seconds: metrics.routed });
    this.sample = sample;
    this.toPeer = new Joined({ metrics, sample, routes: local, passed: local.out });
    this.fromTrunk = new Joined({ metrics, sample, routes: trunk, passed: trunk.in });
    this.toTrunk = new Joined({ metrics, sample, routes: trunk, passed: trunk.out });
    this.fromTrunk.other = this.toTrunk;
    this.toTrunk.other = this.fromTrunk;
  }
}
