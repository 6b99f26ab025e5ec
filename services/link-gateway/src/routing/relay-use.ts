import type { Relay, RelaySource, RelayUse } from '../peers/peer.ts';
import type { LinkidRoute } from './linkid-route.ts';
import type { ReturnPathUser } from './return-path-user.ts';

/** What runs over one relay of the linkid dialect. */
export class LinkidUse implements RelayUse {
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

  relayClosing(): void {
    for (const route of this.routes.values()) route.close();
    for (const user of this.returns) user.returnPathClosing();
  }
}

/** What runs over a relay; begun when it is first asked for. */
export function useOf(relay: Relay): LinkidUse {
  // peers/ knows of a use only what it asks of it itself. Nobody but this function makes any, so this is never anything else.
  if (relay.use instanceof LinkidUse) return relay.use;
  const use = new LinkidUse();
  relay.use = use;
  return use;
}
