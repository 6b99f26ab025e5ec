import type { Kernel } from '../kernel.ts';

/**
 * Replaces Node's globals by virtual ones while a simulation runs. Most of the services' code is handed a clock; this
 * is for code that is not: Turn's setImmediate, deadlines of gRPC calls, the peers of the tests.
 */

/** Node's own functions, saved before anything was replaced. */
export const real = {
  setImmediate: globalThis.setImmediate,
  now: performance.now.bind(performance),
};

let kernel: Kernel | null = null;

/** The simulation that runs. Using the replaced platform outside of one is an error. */
export function theKernel(): Kernel {
  if (kernel === null) throw new Error('nothing is simulated at the moment');
  return kernel;
}

/** From now on, all time and randomness of this process come from the kernel; null: from Node again. */
export function setKernel(to: Kernel | null): void {
  kernel = to;
}

/** A timer with those of Node's methods that are used. */
class VirtualTimeout {
  cancel: () => void;

  constructor(cancel: () => void) {
    this.cancel = cancel;
  }

  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

/** Call once, before any module of the services is loaded. */
export function replaceGlobals(): void {
  const realTimers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate };
  const clear = (timer: unknown, otherwise: (timer: never) => void): void => {
    if (timer instanceof VirtualTimeout) timer.cancel();
    else otherwise(timer as never);
  };
  const replaced = {
    setTimeout: (fn: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      if (kernel === null) return realTimers.setTimeout(fn, ms, ...args);
      const timer = kernel.after(kernel.current, ms, () => fn(...args));
      return new VirtualTimeout(() => timer.cancel());
    },
    setInterval: (fn: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      if (kernel === null) return realTimers.setInterval(fn, ms, ...args);
      const { current } = kernel;
      const run = kernel;
      const timeout = new VirtualTimeout(() => {});
      const again = (): void => {
        const timer = run.after(current, Math.max(1, ms), () => {
          again();
          fn(...args);
        });
        timeout.cancel = () => timer.cancel();
      };
      again();
      return timeout;
    },
    setImmediate: (fn: (...args: unknown[]) => void, ...args: unknown[]) => {
      if (kernel === null) return realTimers.setImmediate(fn, ...args);
      const immediate = kernel.immediate(() => fn(...args));
      return new VirtualTimeout(() => immediate.cancel());
    },
    clearTimeout: (timer: unknown) => clear(timer, realTimers.clearTimeout),
    clearInterval: (timer: unknown) => clear(timer, realTimers.clearInterval),
    clearImmediate: (timer: unknown) => clear(timer, realTimers.clearImmediate),
  };
  Object.assign(globalThis, replaced);
  const realDate = Date.now;
  Date.now = () => (kernel === null ? realDate() : Math.floor(kernel.wall()));
  performance.now = () => (kernel === null ? real.now() : kernel.monotonic());
}
