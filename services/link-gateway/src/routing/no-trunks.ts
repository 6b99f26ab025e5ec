import { type Pressure, RESTING } from '@spanmesh/dmsg-socket/stream/pressure';
import type { Trunks } from './trunks.ts';

/** A gateway that reaches no other: what it cannot deliver itself is answered LOSTLINK. */
export class NoTrunks implements Trunks {
  route(): null {
    return null;
  }

  dropRoute(): void {}

  pressureOf(): Pressure {
    return RESTING;
  }
}
