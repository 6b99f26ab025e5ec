import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayMetrics } from '../metrics.ts';
import { Joined } from './joined.ts';
import type { RouteClasses } from './route-class.ts';
import { RoutedSample } from './routed-sample.ts';

/**
 * The handlers of joined transactions. A transaction's handler depends on where its messages come from and where they
 * go.
 */
export class Joins {
  /** For transactions whose messages come from a connection and go out on a connection. */
  readonly toPeer: Joined;
  /** For transactions whose messages come from a trunk and go out on a connection. */
  readonly fromTrunk: Joined;
  /** For transactions whose messages come from a connection and go out on a trunk. */
  readonly toTrunk: Joined;

  readonly sample: RoutedSample;

  /** Number of joined transactions that are being measured. */
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
