/**
 * Work on the tree that may be long, in pieces: each `yield` says how many units were done since the one before. A unit is a pair (node,
 * LNK_CONN) looked at, or what takes as long: a microsecond or a few. Until it is over the tree must not be changed otherwise, and what it
 * shows is half done; `return()` leaves it so.
 */
export type TreeWork<T = void> = Generator<number, T, void>;

/** All of it at once. */
export function finish<T>(work: TreeWork<T>): T {
  for (;;) {
    const result = work.next();
    if (result.done === true) return result.value;
  }
}
