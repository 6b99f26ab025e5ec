import type { Link, LnkConn, RelayDelta } from '@spanmesh/spantree/tree';
import { lnkConnData, type RelayGroup } from './gateway.ts';

/**
 * Collects the relays of a selection in groups. The tree reports relays link by link (RelayDelta); this class divides
 * them by the gateway of the LNK_CONN. When the link changes, each gateway's next group begins, so that a close comes
 * after the open that replaces the relay.
 */
export class RelayGroups implements RelayDelta {
  #groups: RelayGroup[] = [];
  readonly #gone: ((link: Link) => void) | null;

  /** `gone`: called for each relay that was removed with its link or its LNK_CONN. */
  constructor(gone: ((link: Link) => void) | null = null) {
    this.#gone = gone;
  }

  gone(link: Link): void {
    this.#gone?.(link);
  }

  open(link: Link, lnkConn: LnkConn): void {
    this.#groupOf(link, lnkConn).open.push(lnkConn.id);
  }

  close(link: Link, lnkConn: LnkConn): void {
    this.#groupOf(link, lnkConn).close.push(lnkConn.id);
  }

  /** The groups collected since the last call. */
  take(): RelayGroup[] {
    const groups = this.#groups;
    this.#groups = [];
    for (const { gateway } of groups) gateway.group = undefined;
    return groups;
  }

  #groupOf(link: Link, lnkConn: LnkConn): RelayGroup {
    const { gateway } = lnkConnData(lnkConn);
    let { group } = gateway;
    if (group === undefined || group.link !== link) {
      group = { link, gateway, open: [], close: [] };
      gateway.group = group;
      this.#groups.push(group);
    }
    return group;
  }
}
