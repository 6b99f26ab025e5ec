/**
 * Long work on the tree, in pieces: each `yield` gives the number of units done since the one before. A unit is a pair
 * (node, LNK_CONN) looked at, or something that takes as long: one to a few microseconds. Until the work is finished,
 * the tree must not be changed by anything else, and reading it shows a half-done state; `return()` ends the work and
 * leaves the tree so.
 */
export type TreeWork<T = void> = Generator<number, T, void>;

/** Does all of the work at once. */
export function finish<T>(work: TreeWork<T>): T {
  for (;;) {
    const result = work.next();
    if (result.done === true) return result.value;
  }
}
