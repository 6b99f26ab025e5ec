// What consolidated reads may take (docs/architecture.md, "Consolidated reads"). Past each of these a read is asked for by itself.

/** Reads that wait for the answer to one. */
export const MAX_WAITING_READS = 4096;
/** Reads of one node that others may wait for: a write looks at all of them. */
export const MAX_SHARED_READS = 1024;
/** Writes of one node that are told apart by where they write; with more under way one of them counts as a write of everything. */
export const MAX_WRITE_RANGES = 64;
/** Bytes of answers in several messages that are kept for those who wait, of all nodes of a gateway. */
export const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Bytes of copies that are made of one answer at a time; whoever is left then asks for it once more. */
export const MAX_COPIED_BYTES = 16 * 1024 * 1024;
