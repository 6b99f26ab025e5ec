import type { EndingJob } from '@spanmesh/dmsg/transaction';
import { formatUuid } from '@spanmesh/dmsg/uuid';
import type { GatewayMetrics } from '../../metrics.ts';
import type { Link } from '../../peers/peer.ts';
import type { RouteClasses } from '../route-class.ts';
import type { RoutedSample } from '../routed-sample.ts';
import { LinkReads } from './link-reads.ts';
import { NodeBlocks } from './node-blocks.ts';
import type { SharedRead } from './shared-read.ts';

// Offsets in the payload of LNK_SPAN, circuit: those of protocol.md less 64.
const PEER_ID = 0;
const PFS_ID_END = 32;
const PEER_TYPE = 33;
const LABELS = 112;

export interface ConsolidationDependencies {
  readonly metrics: GatewayMetrics;
  readonly sample: RoutedSample;
  readonly classes: RouteClasses;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/**
 * Decides which links of this gateway have their reads consolidated (architecture.md, "Consolidated reads"): circuit
 * links of the clusters that the setting names.
 */
export class Consolidation {
  readonly #clusters: ReadonlySet<string>;
  readonly #deps: ConsolidationDependencies;
  readonly #links = new Map<Link, LinkReads>();
  /** Links that are known not to be consolidated. */
  readonly #others = new WeakSet<Link>();
  /** By node: its blocks, and the number of links to the node, which all lead to the same blocks. */
  readonly #nodes = new Map<string, { readonly blocks: NodeBlocks<SharedRead>; links: number }>();
  readonly #kept = { bytes: 0 };

  /** `clusters`: peer_ids as canonical texts. */
  constructor(clusters: readonly string[], deps: ConsolidationDependencies) {
    this.#clusters = new Set(clusters);
    this.#deps = deps;
  }

  /** Number of consolidated links that have been used. */
  get links(): number {
    return this.#links.size;
  }

  /** Number of transactions with their nodes that matter here (shared reads, opens, writes). */
  get sent(): number {
    let sum = 0;
    for (const { size } of this.#links.values()) sum += size;
    return sum;
  }

  /** Bytes of partial answers kept for askers that wait. */
  get keptBytes(): number {
    return this.#kept.bytes;
  }

  /** The consolidated reads of a link; null: its reads are not consolidated. */
  of(link: Link): LinkReads | null {
    const known = this.#links.get(link);
    if (known !== undefined) return known;
    if (this.#others.has(link)) return null;
    const { dialect, payload } = link.source;
    // Only the circuit dialect has BLK messages (protocol.md, "Message").
    if (dialect !== 'circuit' || !this.#clusters.has(formatUuid(payload, PEER_ID))) {
      this.#others.add(link);
      return null;
    }
    const key = keyOfNode(payload);
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = { blocks: new NodeBlocks(), links: 0 };
      this.#nodes.set(key, node);
    }
    node.links++;
    const reads = new LinkReads(link, node.blocks, { ...this.#deps, kept: this.#kept });
    this.#links.set(link, reads);
    link.users ??= new Set();
    link.users.add({ linkClosing: () => this.#forget(link, reads, key) });
    return reads;
  }

  #forget(link: Link, reads: LinkReads, key: string): void {
    reads.close();
    this.#links.delete(link);
    const node = this.#nodes.get(key);
    if (node !== undefined && --node.links === 0) this.#nodes.delete(key);
  }
}

/** The identity of cluster and node (protocol.md, "The link layer" 2). */
function keyOfNode(payload: Buffer): string {
  const labels = payload.toString('latin1', LABELS);
  return `${payload[PEER_TYPE]} ${payload.toString('latin1', PEER_ID, PFS_ID_END)} ${labels}`;
}
