import type { EndingJob } from '@spanmesh/dmsg/transaction';

/** Something that ends when its return path closes. */
export interface ReturnPathUser {
  /** The relay is about to close. What is to be done first; null: nothing. */
  returnPathClosing(): EndingJob | null;
}
