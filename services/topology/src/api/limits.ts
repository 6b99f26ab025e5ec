// What all users of the API together, and each of them, may use at one replica. A user is known by token or
// certificate, otherwise by address.

/** Watches at a time; each may be a batch behind. Beyond it the user with most watches loses the newest one. */
export const MAX_WATCHES = 1000;
/** Watches of one user. */
export const MAX_WATCHES_PER_USER = 500;
/** Trees being sent at a time; each keeps copies of what has changed since it was asked for. */
export const MAX_TREES = 16;
/** Trees of one user. */
export const MAX_TREES_PER_USER = 4;
/** Answers being made at a time, users in turn: a few KB each. */
export const MAX_ANSWERS = 1024;
/** Answers of one user. */
export const MAX_ANSWERS_PER_USER = 256;
/** Answers about traffic being made at a time; gateways are asked for each. */
export const MAX_TRAFFIC_ANSWERS = 64;
/** Answers about traffic of one user. */
export const MAX_TRAFFIC_ANSWERS_PER_USER = 32;
