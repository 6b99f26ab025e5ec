import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { Link } from '@spanmesh/spantree/tree';

/** A link whose gateway has not told of it yet; LNK_CONNs are numbers of the gateway that knows the link. */
export interface WaitingLink {
  /** Relays that its snapshot has shown. */
  open: number[];
  /** Refusals that it has told. */
  readonly refused: Set<number>;
  /** Return paths, for display. */
  readonly onDemand: Set<number>;
}

/**
 * Links of other gateways that one gateway knows: topology has named them to it, or it has said so. Each is answered once, when it is
 * gone. The table is of one stream: the next snapshot tells all.
 */
export class KnownLinks {
  readonly #links = new Set<Link>();
  /** By gateway id of the link, then by its number. */
  readonly #waiting = new Map<string, Map<number, WaitingLink>>();
  #waitingCount = 0;

  /** Links that it knows, and how many of them wait for their gateway. */
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

  /** False: it does not know the link. */
  delete(link: Link): boolean {
    return this.#links.delete(link);
  }

  /** The links that are there, in no order. */
  links(): Iterable<Link> {
    return this.#links;
  }

  waiting(gateway: GatewayId, link: LinkId): WaitingLink | undefined {
    return this.#waiting.get(gateway)?.get(link);
  }

  /** The links of a gateway that wait for it. Must not be changed meanwhile. */
  waitingFor(gateway: GatewayId): ReadonlyMap<number, WaitingLink> {
    return this.#waiting.get(gateway) ?? NONE;
  }

  /** The link is to wait for its gateway. */
  wait(gateway: GatewayId, link: LinkId): void {
    const links = this.#waiting.get(gateway);
    if (links?.has(link) === true) return;
    const one: WaitingLink = { open: [], refused: new Set(), onDemand: new Set() };
    if (links === undefined) this.#waiting.set(gateway, new Map([[link, one]]));
    else links.set(link, one);
    this.#waitingCount++;
  }

  /** The link does not wait any more. */
  endWait(gateway: GatewayId, link: LinkId): void {
    const links = this.#waiting.get(gateway);
    if (links?.delete(link) !== true) return;
    this.#waitingCount--;
    if (links.size === 0) this.#waiting.delete(gateway);
  }

  /** The gateway is dead: nothing waits for it any more. */
  endWaits(gateway: GatewayId): void {
    this.#waitingCount -= this.#waiting.get(gateway)?.size ?? 0;
    this.#waiting.delete(gateway);
  }
}

const NONE: ReadonlyMap<number, WaitingLink> = new Map();
