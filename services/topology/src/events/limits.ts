/** Kinds that one request may name. */
export const MAX_KINDS = 64;
/** Longest subject that is looked for, characters. */
export const MAX_SUBJECT_CHARS = 300;
/** Events that a watch keeps for a reader that is behind; past it, it reads the history again. */
export const MAX_QUEUED_EVENTS = 1024;
/** Events in one message of a watch. */
export const MAX_EVENTS_PER_MESSAGE = 500;
