// What all users of the API may have at one replica, and one of them: by token or certificate, otherwise by address.

/** Watches at a time: each may be a batch behind. Past it the user who has most loses the last one. */
export const MAX_WATCHES = 1000;
/** Watches of one user. */
export const MAX_WATCHES_PER_USER = 500;
/** Trees being sent at a time: each holds a capture of the whole tree. */
export const MAX_TREES = 16;
/** Trees of one user. */
export const MAX_TREES_PER_USER = 4;
/** Answers that are being made at a time, in turns by user: a few KB each. */
export const MAX_ANSWERS = 1024;
/** Answers of one user. */
export const MAX_ANSWERS_PER_USER = 256;
/** Answers about traffic that are being made at a time: gateways are asked for each. */
export const MAX_TRAFFIC_ANSWERS = 64;
/** Answers of one user. */
export const MAX_TRAFFIC_ANSWERS_PER_USER = 32;
