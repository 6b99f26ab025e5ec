import { signal } from '@preact/signals';
import type { Target } from '@spanmesh/proto/v1/volconf';
import { volconf, words } from './api.ts';
import { follow } from './follow.ts';

/** The targets by name; null: not known yet. */
export const targets = signal<ReadonlyMap<string, Target> | null>(null);
/** Why targets are not being followed; empty: they are. */
export const targetsTrouble = signal('');

/** Follows the targets for ever. @returns a function that ends it */
export function followTargets(): () => void {
  return follow(
    async (abort, progress) => {
      // The first targets of a watch replace all known ones at once.
      let all = new Map<string, Target>();
      let isCurrent = false;
      for await (const { target, removed, current } of volconf.watchTargets({}, { signal: abort })) {
        progress();
        if (target !== undefined) all.set(target.name, target);
        if (removed !== undefined) all.delete(removed);
        isCurrent ||= current === true;
        if (!isCurrent) continue;
        all = new Map(all);
        targets.value = all;
        targetsTrouble.value = '';
      }
      throw new Error('the server has ended the stream');
    },
    (error) => {
      targetsTrouble.value = words(error);
    },
  );
}
