import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { Link } from '@spanmesh/spantree/tree';

/**
 * A known link whose own gateway has not reported it yet. LNK_CONNs are given by their numbers at the gateway that
 * knows the link.
 */
export interface WaitingLink {
  /** Relays of the link that the snapshot has shown. */
  open: number[];
  /** Refusals of the link that the gateway has reported. */
  readonly refused: Set<number>;
  /** Relays on demand (return paths), for display. */
  readonly onDemand: Set<number>;
}

/**
 * Links of other gateways that one gateway knows, because topology has named them or because the gateway has reported
 * that it knows them. When such a link is gone, the gateway is told once. The table is valid for one stream: the next
 * snapshot lists all links anew.
 */
export class KnownLinks {
  readonly #links = new Set<Link>();
  /** By id of the link's gateway, then by the link's number. */
  readonly #waiting = new Map<string, Map<number, WaitingLink>>();
  #waitingCount = 0;

  /** Number of the links that the gateway knows, including those that wait for their gateways. */
  get size(): number {
    return this.#links.size + this.#waitingCount;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  has(link: Link): boolean {
    return this.#links.has(link);
  }

  add(link: Link): void {
    this.#links.add(link);
  }

  /** Forgets a link. False: the gateway does not know it. */
  delete(link: Link): boolean {
    return this.#links.delete(link);
  }

  /** The known links that do not wait for their gateways, in no particular order. */
  links(): Iterable<Link> {
    return this.#links;
  }

  waiting(gateway: GatewayId, link: LinkId): WaitingLink | undefined {
    return this.#waiting.get(gateway)?.get(link);
  }

  /** The links that wait for a gateway to report them. Do not change them during iteration. */
  waitingFor(gateway: GatewayId): ReadonlyMap<number, WaitingLink> {
    return this.#waiting.get(gateway) ?? NONE;
  }

  /** Lets a link wait for its gateway to report it. */
  wait(gateway: GatewayId, link: LinkId): void {
    const links = this.#waiting.get(gateway);
    if (links?.has(link) === true) return;
    const one: WaitingLink = { open: [], refused: new Set(), onDemand: new Set() };
    if (links === undefined) this.#waiting.set(gateway, new Map([[link, one]]));
    else links.set(link, one);
    this.#waitingCount++;
  }

  /** The link does not wait any more: its gateway has reported it, or will not. */
  endWait(gateway: GatewayId, link: LinkId): void {
    const links = this.#waiting.get(gateway);
    if (links?.delete(link) !== true) return;
    this.#waitingCount--;
    if (links.size === 0) this.#waiting.delete(gateway);
  }

  /** The gateway is dead: no link waits for it any more. */
  endWaits(gateway: GatewayId): void {
    this.#waitingCount -= this.#waiting.get(gateway)?.size ?? 0;
    this.#waiting.delete(gateway);
  }
}

const NONE: ReadonlyMap<number, WaitingLink> = new Map();
