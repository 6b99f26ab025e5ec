// Limits of consolidated reads (docs/architecture.md, "Consolidated reads"). A read past one of them goes to the node
// by itself.

/** Reads that may wait for the answer to one read. */
export const MAX_WAITING_READS = 4096;
/** Reads of one node that others may wait for: each write is compared with all of them. */
export const MAX_SHARED_READS = 1024;
/** Writes under way at one node whose ranges are kept. Past it a further write counts as a write of everything. */
export const MAX_WRITE_RANGES = 64;
/** Bytes kept of answers that come in several messages, for the askers that wait, of all nodes of a gateway. */
export const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Bytes of copies made of one answer at a time. The askers left over then have it asked for once more. */
export const MAX_COPIED_BYTES = 16 * 1024 * 1024;
