import type { Link, LnkConn, RelayDelta } from '@spanmesh/spantree/tree';
import { type Gateway, lnkConnData } from './gateway.ts';

/** Relays of one link on one gateway's LNK_CONNs (numbers): the unit of commands and of history. */
export interface RelayGroup {
  readonly link: Link;
  /** Of the LNK_CONNs. */
  readonly gateway: Gateway;
  readonly open: number[];
  readonly close: number[];
}

/** Takes what a selection hands out, as groups. */
export class RelayGroups implements RelayDelta {
  #groups: RelayGroup[] = [];

  open(link: Link, lnkConn: LnkConn): void {
    this.#groupOf(link, lnkConn).open.push(lnkConn.id);
  }

  close(link: Link, lnkConn: LnkConn): void {
    this.#groupOf(link, lnkConn).close.push(lnkConn.id);
  }

  /** Those gathered since the last time. */
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
