/** A pending call made by Clock.after. */
export interface Timer {
  /** Prevents the call; harmless if it was already made. */
  cancel(): void;
}

/** Longest delay that setTimeout can wait, ms (24 days): after a longer one it fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Time, passed in from outside: real in services, advanced by hand in tests. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary moment; fractions possible. For every duration and deadline. */
  now(): number;
  /** Milliseconds since 1970. May jump; only for stamps that people or other hosts read. */
  wall(): number;
  /**
   * Calls `fn` once, `ms` milliseconds from now, however large `ms` is. A pending timer does not keep the process
   * alive.
   */
  after(ms: number, fn: () => void): Timer;
}

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    // Sockets and servers keep a service alive; its timers must not delay its end.
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
