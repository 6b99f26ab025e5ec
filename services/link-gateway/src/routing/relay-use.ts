import type { RelaySource } from '../peers/relay-source.ts';
import type { LinkidRoute } from './linkid-route.ts';

/** Whatever ends with a return path. */
export interface ReturnPathUser {
  /** The relay is about to close. */
  returnPathClosing(): void;
}

/** What runs over one relay of the linkid dialect. */
export class RelayUse {
  /** Routes of messages that name the relay as their target, by the sender's span. */
  readonly routes = new Map<RelaySource, LinkidRoute>();
  /** Who uses it as the return path. */
  readonly returns = new Set<ReturnPathUser>();
  /** When it was last used, on the clock's monotonic scale in milliseconds. */
  usedAt = 0;

  get isReturnPath(): boolean {
    return this.returns.size > 0;
  }

  get isUsed(): boolean {
    return this.routes.size > 0 || this.returns.size > 0;
  }
}
