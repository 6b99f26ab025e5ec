import type { EndingJob } from '@spanmesh/dmsg/transaction';
import type { Relay, RelaySource, RelayUse } from '../peers/peer.ts';
import type { LinkidRoute } from './linkid-route.ts';
import type { ReturnPathUser } from './return-path-user.ts';

/** The routes that use one relay of the linkid dialect. */
export class LinkidUse implements RelayUse {
  /** Routes whose messages name the relay as their target, by the sender's span. */
  readonly routes = new Map<RelaySource, LinkidRoute>();
  /** Such routes that are closed and whose joined transactions are still being ended. */
  readonly closing = new Set<LinkidRoute>();
  /** Users of the relay as a return path. */
  readonly returns = new Set<ReturnPathUser>();
  /** When the relay was last used, milliseconds of the monotonic clock. */
  usedAt = 0;

  get isReturnPath(): boolean {
    return this.returns.size > 0;
  }

  get isUsed(): boolean {
    return this.routes.size > 0 || this.closing.size > 0 || this.returns.size > 0;
  }

  relayClosing(): EndingJob | null {
    const jobs: EndingJob[] = [];
    const note = (job: EndingJob | null) => void (job !== null && jobs.push(job));
    for (const route of [...this.closing, ...this.routes.values()]) note(route.closing());
    for (const user of this.returns) note(user.returnPathClosing());
    return jobs.length === 0 ? null : oneAfterTheOther(jobs);
  }
}

function* oneAfterTheOther(jobs: readonly EndingJob[]): EndingJob {
  for (const job of jobs) yield* job;
}

/** The LinkidUse of a relay, made at the first call. */
export function useOf(relay: Relay): LinkidUse {
  // peers/ knows only the interface RelayUse. Nothing but this function sets `relay.use`, so it is always a LinkidUse.
  if (relay.use instanceof LinkidUse) return relay.use;
  const use = new LinkidUse();
  relay.use = use;
  return use;
}
