/** Kinds that one request may name. */
export const MAX_KINDS = 64;
/** Longest subject that a request may filter by, in characters. */
export const MAX_SUBJECT_CHARS = 300;
/** Events queued for a watch that does not read; beyond it the watch reads the history later. */
export const MAX_QUEUED_EVENTS = 1024;
/** Events in one message of a watch. */
export const MAX_EVENTS_PER_MESSAGE = 500;
