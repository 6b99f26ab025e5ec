/** The file that describes everything in proto/, as `buf build` writes it: what reflection tells. */
export const DESCRIPTORS: URL = new URL('../gen/spanmesh.binpb', import.meta.url);
