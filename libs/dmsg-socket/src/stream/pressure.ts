/** A place where bytes wait: a connection's send queue, or a trunk's window. */
export interface Pressure {
  /** More bytes wait than should: connections that send to this place are paused. */
  readonly isHigh: boolean;
  /** Calls `fn` once, when the place is low again or has ended. `principal`: who waits. */
  onceLow(fn: () => void, principal?: string): void;
}

/** A place where nothing ever waits. */
export const RESTING: Pressure = {
  isHigh: false,
  onceLow(fn) {
    fn();
  },
};
