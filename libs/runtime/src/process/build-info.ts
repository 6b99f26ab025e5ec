import type { Metrics } from '../metrics.ts';
import { VERSION } from '../version.ts';

/** A metric with the running version in its labels, so that a graph shows when it changed. */
export function registerBuildInfo(metrics: Metrics): void {
  metrics.info('spanmesh_build_info', 'Always 1; its labels say what runs.', {
    version: VERSION,
    node: process.versions.node,
  });
}
