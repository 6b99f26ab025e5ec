/** A pending call made by Clock.after. */
export interface Timer {
  /** Makes sure that the function is not called; harmless when it already was. */
  cancel(): void;
}

/** Longest delay that setTimeout keeps, ms (24 days): one that is longer fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Time, as something handed in: real in services, advanced by hand in tests. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary moment; fractions possible. For every duration and deadline. */
  now(): number;
  /** Milliseconds since 1970. May jump; only for stamps that people or other hosts read. */
  wall(): number;
  /** Calls `fn` once, `ms` milliseconds from now, however many those are. A pending timer does not keep the process alive. */
  after(ms: number, fn: () => void): Timer;
}

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    // Sockets and servers keep a service alive, its timers must not delay its end.
    let timeout: NodeJS.Timeout;
    const arm = (left: number): void => {
      timeout =
        left > MAX_TIMER_MS
          ? setTimeout(() => arm(left - MAX_TIMER_MS), MAX_TIMER_MS).unref()
          : setTimeout(fn, left).unref();
    };
    arm(ms);
    return { cancel: () => clearTimeout(timeout) };
  },
};
