import type { Event, EventKind } from '@spanmesh/proto/v1/events';

/** Names of the fields with details, by kind. */
export type DetailsName = Exclude<
  keyof Event,
  'number' | 'kind' | 'subject' | 'time' | 'firstTime' | 'count' | 'reporter' | 'id' | 'principal'
>;

/** An event as the code that has seen it reports it. */
export type Happened = { readonly kind: EventKind; readonly subject: string; readonly principal: string } & Partial<
  Pick<Event, DetailsName>
>;

export interface TellOptions {
  /**
   * Key of an event that may repeat: the first is reported at once, further ones with this key together, once in
   * REPEAT_MS.
   */
  readonly repeats?: string;
  /** The caller has already logged it. */
  readonly isLogged?: boolean;
}

/** Where a process reports what it sees: as a line of its log at info, and as an entry in topology's history. */
export interface EventTeller {
  tell(happened: Happened, options?: TellOptions): void;
}

/** Drops all events. */
export const NO_EVENTS: EventTeller = { tell: () => {} };
