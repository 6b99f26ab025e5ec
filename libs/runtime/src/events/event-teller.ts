import type { Event, EventKind } from '@spanmesh/proto/v1/events';

/** What happened. */
export type Happened = { readonly kind: EventKind; readonly subject: string; readonly principal: string } & Partial<
  Pick<Event, 'peer' | 'target' | 'member' | 'drain' | 'files' | 'limit' | 'operator'>
>;

export interface TellOptions {
  /** The first is told at once, the further ones of the same key together, once in REPEAT_MS. */
  readonly repeats?: string;
  /** The teller has written a line of the log itself. */
  readonly isLogged?: boolean;
}

/** Where a process tells what it sees: a line of its log at info, and an entry in the history that topology keeps. */
export interface EventTeller {
  tell(happened: Happened, options?: TellOptions): void;
}

/** Tells nobody. */
export const NO_EVENTS: EventTeller = { tell: () => {} };
