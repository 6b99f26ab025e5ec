import type { Pressure } from './trunks.ts';

/** Nothing ever waits. */
export const RESTING: Pressure = {
  isHigh: false,
  onceLow(fn) {
    fn();
  },
};
