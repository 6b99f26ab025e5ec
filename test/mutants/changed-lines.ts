/** The lines that a `git diff -U0` has added or changed: line numbers from 1, by file. */
export function changedLines(diff: string): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  let lines: Set<number> | undefined;
  for (const text of diff.split('\n')) {
    const file = /^\+\+\+ (?:b\/(.*)|\/dev\/null)$/.exec(text);
    if (file !== null) {
      lines = file[1] === undefined ? undefined : new Set();
      if (file[1] !== undefined && lines !== undefined) found.set(file[1], lines);
      continue;
    }
    const hunk = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(text);
    if (hunk === null) continue;
    const first = Number(hunk[1]);
    for (let i = 0; i < Number(hunk[2] ?? 1); i++) lines?.add(first + i);
  }
  return found;
}
