import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import type { Gateway, RelayGroup } from './gateway.ts';

export type ChangeKind = 'added' | 'changed' | 'removed';

/** A change that users see, as a reference to the changed object. It becomes a message only when there is a watch. */
export type RecordedChange =
  | { readonly of: 'cluster'; readonly kind: ChangeKind; readonly object: Cluster }
  | { readonly of: 'node'; readonly kind: ChangeKind; readonly object: Node }
  | { readonly of: 'link'; readonly kind: ChangeKind; readonly object: Link }
  | { readonly of: 'connection'; readonly kind: ChangeKind; readonly object: Connection }
  | { readonly of: 'lnkConn'; readonly kind: ChangeKind; readonly object: LnkConn }
  /**
   * Relays have opened or closed. As an event of the trees: because a peer or a snapshot says so, and not by selection.
   */
  | { readonly of: 'relays'; readonly group: RelayGroup };

/** The events of Trees. The listener must not change the trees. */
export type TreesEvent =
  | RecordedChange
  /** The gateway can use the links of some other gateway again. */
  | { readonly of: 'reachable'; readonly gateway: Gateway }
  /** A report of a gateway, mostly of a peer's message, that makes no sense. It is dropped. */
  | {
      readonly of: 'nonsense';
      readonly gateway: Gateway;
      readonly what: string;
      readonly data: Readonly<Record<string, string | number>>;
    };

/** The events of State. The listener must not change the state. */
export type StateEvent =
  | TreesEvent
  /** The connection is suspect now: its gateway must probe it. */
  | { readonly of: 'probe'; readonly connection: Connection }
  /** The gateway has reported the progress of its drains. */
  | { readonly of: 'drained'; readonly gateway: Gateway }
  /** The gateway is gone: dead, or it has said goodbye. */
  | { readonly of: 'gatewayGone'; readonly gateway: Gateway }
  /** A link of `linkGateway` that the gateway knows is gone: the gateway must be told, once. */
  | { readonly of: 'linkGone'; readonly gateway: Gateway; readonly linkGateway: GatewayId; readonly link: LinkId }
  /** A gateway with this id was named by another one, and has reported nothing yet. */
  | { readonly of: 'named'; readonly id: GatewayId };
