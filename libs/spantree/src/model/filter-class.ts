import { type ClusterFilter, DIALECT_RULES } from '../dialects.ts';
import type { GatewayId } from '../ids.ts';
import { type LnkConnFilter, NIL_UUID, PEER_CLIENT, PEER_HAMMER2, type SpanKey } from '../span.ts';
import type { Reachability } from './reachability.ts';

/** Why the walk stops at a link (architecture.md, "Relay selection"). */
export type StopReason =
  /** dist > 16 */
  | 'too-far'
  /** the link came in on the LNK_CONN's own connection */
  | 'own-connection'
  /** the LNK_CONN's peer_mask has no bit for the link's peer_type */
  | 'peer-mask'
  /**
   * linkid: both sides HAMMER2, link's cluster neither nil nor the LNK_CONN's. circuit: a CLIENT asked for another
   * peer_id
   */
  | 'other-cluster'
  /** circuit: both sides CLIENT */
  | 'both-clients';

/** The fields of a link that a filter looks at. */
export interface RankedLink {
  readonly connection: { readonly gateway: GatewayId };
  readonly dist: number;
  readonly span: Pick<SpanKey, 'peerType' | 'clusterId'>;
}

/**
 * LNK_CONNs of one gateway with the same filter. Their walks of a node's links differ only in the stop at links of
 * their own connections, so one walk serves them all.
 */
export class FilterClass<Member> {
  readonly key: string;
  readonly gateway: GatewayId;
  readonly members: Set<Member> = new Set();
  readonly #filter: ClusterFilter;
  readonly #maskLo: number;
  readonly #maskHi: number;
  readonly #peerType: number;
  readonly #clusterId: string;
  readonly #maxDist: number;
  readonly #reachability: Reachability;

  constructor(
    gateway: GatewayId,
    filter: LnkConnFilter,
    { maxDist, reachability }: { readonly maxDist: number; readonly reachability: Reachability },
  ) {
    this.key = filterClassKey(gateway, filter);
    this.gateway = gateway;
    this.#filter = DIALECT_RULES[filter.dialect].filter;
    this.#maskLo = filter.peerMaskLo;
    this.#maskHi = filter.peerMaskHi;
    this.#peerType = filter.peerType;
    this.#clusterId = filter.clusterId;
    this.#maxDist = maxDist;
    this.#reachability = reachability;
  }

  /**
   * Whether these LNK_CONNs' gateway cannot reach the link's. Then a walk skips the link and does not stop at it
   * (architecture.md, "Trunk").
   */
  skips(link: RankedLink): boolean {
    return !this.#reachability.reaches(this.gateway, link.connection.gateway);
  }

  /**
   * Why the walk of every member stops at the link, or undefined. The caller checks for links of the LNK_CONN's own
   * connection.
   */
  stopAt(link: RankedLink): Exclude<StopReason, 'own-connection'> | undefined {
    if (link.dist > this.#maxDist) return 'too-far';
    const { peerType, clusterId } = link.span;
    const bit = peerType < 32 ? this.#maskLo >>> peerType : this.#maskHi >>> (peerType - 32);
    if ((bit & 1) === 0) return 'peer-mask';
    if (this.#filter === 'hammer2') {
      if (peerType !== PEER_HAMMER2 || this.#peerType !== PEER_HAMMER2) return undefined;
      return clusterId !== NIL_UUID && clusterId !== this.#clusterId ? 'other-cluster' : undefined;
    }
    if (this.#peerType !== PEER_CLIENT) return undefined;
    if (peerType === PEER_CLIENT) return 'both-clients';
    return this.#clusterId !== NIL_UUID && this.#clusterId !== clusterId ? 'other-cluster' : undefined;
  }
}

/** A text that is the same for LNK_CONNs of one FilterClass, and for no others. */
export function filterClassKey(gateway: GatewayId, filter: LnkConnFilter): string {
  const { peerMaskLo, peerMaskHi, peerType, clusterId } = filter;
  return `${peerMaskLo >>> 0} ${peerMaskHi >>> 0} ${peerType} ${clusterId} ${gateway}`;
}
