import type { Event } from '@spanmesh/proto/v1/events';
import type { EventQuery, EventsApi } from '../api/events-api.ts';
import { Losses } from '../api/losses.ts';
import { messagesOf } from '../api/messages-of.ts';
import { Failure } from '../failure.ts';
import { SeenEvents } from './seen-events.ts';

export interface FollowEventsDependencies {
  readonly api: Pick<EventsApi, 'watch' | 'context'>;
  /** Takes each event in order; the next one waits until it is done. */
  readonly onEvent: (event: Event) => Promise<void>;
  /** Called with a line that people may want to know. */
  readonly onNote: (line: string) => void;
  /** Ends the following of events. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Follows events until the signal is aborted, over fail-overs and restarts; each event is handed on once. @throws
 * Failure
 */
export async function followEvents(query: EventQuery, deps: FollowEventsDependencies): Promise<void> {
  const { api, onEvent, onNote, signal } = deps;
  const { context } = api;
  const losses = new Losses({ context, again: 'following again', signal }, { onNote });
  const seen = new SeenEvents();
  let resumeToken = '';
  while (!losses.isOver) {
    try {
      for await (const message of messagesOf(api.watch({ ...query, resumeToken }), context, { signal })) {
        losses.worked();
        if (message.historyLost) onNote('some events are not there any more');
        for (const event of seen.fresh(message.events)) await onEvent(event);
        resumeToken = message.resumeToken;
      }
      throw new Failure('lost', `${context.address} ended the watch`);
    } catch (error) {
      await losses.lost(error);
    }
  }
}
