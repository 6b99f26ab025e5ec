import type { SendQueueOwner } from './send-queue.ts';

/** An owner of a queue that records the calls of the queue as texts. */
export function notingOwner(): { readonly owner: SendQueueOwner; readonly heard: string[] } {
  const heard: string[] = [];
  const note = (what: string) => () => void heard.push(what);
  const owner = {
    flushLater: note('flush later'),
    drained: note('drained'),
    overLimit: note('over limit'),
    stalled: note('stalled'),
    onFailed: note('failed'),
  };
  return { owner, heard };
}
