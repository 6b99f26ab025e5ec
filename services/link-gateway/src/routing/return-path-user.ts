import type { EndingJob } from '@spanmesh/dmsg/transaction';

/** Something that ends when its return path closes. */
export interface ReturnPathUser {
  /** The relay is about to close. Returns the job to run before that; null: none. */
  returnPathClosing(): EndingJob | null;
}
