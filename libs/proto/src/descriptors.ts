/** The file that describes everything in proto/, as `buf build` writes it: server reflection serves it. */
export const DESCRIPTORS: URL = new URL('../gen/spanmesh.binpb', import.meta.url);
