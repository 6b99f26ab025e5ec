import type { Job } from '@spanmesh/runtime/grpc/slices';

/** Runs the job; the units of each of its slices, in order. */
export function slicesOf(job: Job<unknown>): number[] {
  const units: number[] = [];
  for (let step = job.next(); step.done !== true; step = job.next()) units.push(step.value);
  return units;
}
