import type { Link, LnkConn, RelayDelta } from '@spanmesh/spantree/tree';
import { lnkConnData, type RelayGroup } from './gateway.ts';

/**
 * Takes what a selection hands out, as groups. The tree hands it out grouped by link (RelayDelta); here the gateways of the LNK_CONNs are told
 * apart. A gateway's next group begins when the link changes, so a close stays behind the open that replaces the relay.
 */
export class RelayGroups implements RelayDelta {
  #groups: RelayGroup[] = [];
  readonly #gone: ((link: Link) => void) | null;

  /** `gone`: called for each relay that went with its link or its LNK_CONN. */
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

  /** The groups gathered since the last time. */
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
