/** Something that bytes wait in: a connection's send queue, or a trunk's window. */
export interface Pressure {
  /** More waits than it should: whoever sends there is paused. */
  readonly isHigh: boolean;
  /** Calls back once when it is not any more, or has ended. `principal`: who waits. */
  onceLow(fn: () => void, principal?: string): void;
}

/** Nothing ever waits. */
export const RESTING: Pressure = {
  isHigh: false,
  onceLow(fn) {
    fn();
  },
};
