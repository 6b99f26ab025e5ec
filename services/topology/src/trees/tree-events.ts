import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import type { Gateway, RelayGroup } from './gateway.ts';

export type ChangeKind = 'added' | 'changed' | 'removed';

/** A change that users see, as a reference to the object that it happened to: it becomes a message only when somebody watches. */
export type RecordedChange =
  | { readonly of: 'cluster'; readonly kind: ChangeKind; readonly object: Cluster }
  | { readonly of: 'node'; readonly kind: ChangeKind; readonly object: Node }
  | { readonly of: 'link'; readonly kind: ChangeKind; readonly object: Link }
  | { readonly of: 'connection'; readonly kind: ChangeKind; readonly object: Connection }
  | { readonly of: 'lnkConn'; readonly kind: ChangeKind; readonly object: LnkConn }
  /** Relays have opened or closed. As an event of the trees: otherwise than by selection, because a peer or a snapshot says so. */
  | { readonly of: 'relays'; readonly group: RelayGroup };

/** What Trees tells. The listener must not change the trees meanwhile. */
export type TreesEvent =
  | RecordedChange
  /** The gateway can use the links of some other gateway again. */
  | { readonly of: 'reachable'; readonly gateway: Gateway }
  /** A peer's message that makes no sense. Nothing else happens because of it. */
  | {
      readonly of: 'nonsense';
      readonly gateway: Gateway;
      readonly what: string;
      readonly data: Readonly<Record<string, string | number>>;
    };

/** What State tells. The listener must not change the state meanwhile. */
export type StateEvent =
  | TreesEvent
  /** The connection is suspect now and shall be asked for a sign of life. */
  | { readonly of: 'probe'; readonly connection: Connection }
  /** The gateway has told how far its drains are. */
  | { readonly of: 'drained'; readonly gateway: Gateway }
  /** The gateway is gone: dead, or it has said goodbye. */
  | { readonly of: 'gatewayGone'; readonly gateway: Gateway }
  /** A link of `linkGateway` that the gateway knows is gone: the gateway is to be told, once. */
  | { readonly of: 'linkGone'; readonly gateway: Gateway; readonly linkGateway: GatewayId; readonly link: LinkId }
  /** A gateway is named by this id, and has told nothing yet. */
  | { readonly of: 'named'; readonly id: GatewayId };
