import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Event, WatchEventsRequest } from '@spanmesh/proto/v1/events';
import { failureOf, isServiceError } from '../api/call-failure.ts';
import { cancelWith } from '../api/cancel-with.ts';
import type { EventQuery, EventsApi } from '../api/events-api.ts';
import { Failure } from '../failure.ts';
import { SeenEvents } from './seen-events.ts';

/** First and longest wait before another attempt, ms. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
/** Answers that will not change by asking again. */
const FINAL: ReadonlySet<number> = new Set([
  status.UNIMPLEMENTED,
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
]);

export interface FollowEventsDependencies {
  readonly api: Pick<EventsApi, 'watch' | 'context'>;
  /** Takes each event in order; the next one waits until it is done. */
  readonly onEvent: (event: Event) => Promise<void>;
  /** Something that people may want to know; a line. */
  readonly onNote: (line: string) => void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Follows events until the signal says so, over fail-overs and restarts; each is handed on once. @throws Failure */
export async function followEvents(query: EventQuery, deps: FollowEventsDependencies): Promise<void> {
  const { api, onNote, signal } = deps;
  const seen = new SeenEvents();
  const place = { resumeToken: '', stood: false };
  let failures = 0;
  let isLost = false;
  const progress = (): void => {
    failures = 0;
    if (isLost) onNote('following again');
    isLost = false;
  };
  while (!signal?.aborted) {
    try {
      await watchOnce({ ...query, resumeToken: place.resumeToken }, { ...deps, seen, place, progress });
      throw new Failure('lost', `${api.context.address} ended the watch`);
    } catch (error) {
      if (signal?.aborted) return;
      const failure = failureOf(error, api.context);
      if (!(failure instanceof Failure) || !place.stood || isFinal(failure)) throw failure;
      if (!isLost) onNote(`${failure.message}; trying again`);
      isLost = true;
      const ms = Math.min(FIRST_RETRY_MS * 2 ** failures++, LONGEST_RETRY_MS);
      await sleep(ms, undefined, { ...(signal && { signal }) }).catch(() => {});
    }
  }
}

async function watchOnce(
  request: WatchEventsRequest,
  {
    api,
    onEvent,
    onNote,
    signal,
    seen,
    place,
    progress,
  }: FollowEventsDependencies & {
    readonly seen: SeenEvents;
    readonly place: { resumeToken: string; stood: boolean };
    readonly progress: () => void;
  },
): Promise<void> {
  const call = api.watch(request);
  const letGo = cancelWith(call, signal);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    call.cancel();
  }, api.context.timeoutMs);
  try {
    for await (const message of call) {
      clearTimeout(timer);
      progress();
      place.stood = true;
      if (message.historyLost) onNote('some events are not there any more');
      for (const event of seen.fresh(message.events)) await onEvent(event);
      place.resumeToken = message.resumeToken;
    }
  } catch (error) {
    throw failureOf(error, { ...api.context, late: isLate });
  } finally {
    clearTimeout(timer);
    letGo();
    // grpc-js reports a cancelled call as an error of the stream; nobody listens any more.
    call.on('error', () => {});
    call.cancel();
  }
}

function isFinal({ cause }: Failure): boolean {
  return isServiceError(cause) && FINAL.has(cause.code);
}
