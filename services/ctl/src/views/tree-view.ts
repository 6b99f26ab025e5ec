import type { ClusterTree, GetTreeResponse, LinkTree, NodeTree } from '@spanmesh/proto/v1/topology';
import type { Link, Node } from '@spanmesh/proto/v1/types';
import type { Paint } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { clusterText, count, dialectOf, distText, hasRnss, pfsType, quoted } from './words.ts';

const BRANCH = '├── ';
const LAST_BRANCH = '└── ';
const TRUNK = '│   ';
const NO_TRUNK = '    ';

/** Joins the parts of a streamed tree: a cluster that continues in the next part becomes one again. */
export class TreeAssembly {
  readonly clusters: ClusterTree[] = [];
  revision = '';

  add(part: GetTreeResponse): void {
    this.revision = part.revision;
    for (const tree of part.clusters) {
      const last = this.clusters.at(-1);
      if (last === undefined || !isSame(last.cluster?.key, tree.cluster?.key)) {
        this.clusters.push({ cluster: tree.cluster, nodes: [...tree.nodes] });
        continue;
      }
      for (const node of tree.nodes) addNode(last.nodes, node);
    }
  }
}

/** Adds a node, or its next part: a node with very many links comes in several parts. */
function addNode(nodes: NodeTree[], node: NodeTree): void {
  const last = nodes.at(-1);
  if (last === undefined || !isSame(last.node?.key, node.node?.key)) {
    nodes.push(node);
    return;
  }
  for (const link of node.links) {
    const begun = last.links.at(-1);
    // A link with very many relays comes in several parts, too.
    if (begun !== undefined && begun.link?.id === link.link?.id) begun.relays.push(...link.relays);
    else last.links.push(link);
  }
}

/** Compares keys, which are plain messages of strings and numbers with their fields in a fixed order. */
function isSame(a: object | undefined, b: object | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The trees as tree(1) would draw them: clusters, their nodes, the nodes' links, the links' relays; below them the
 * number of each.
 */
export function renderTree(clusters: readonly ClusterTree[], paint: Paint): string {
  const lines: string[] = [];
  let nodes = 0;
  let links = 0;
  let relays = 0;
  for (const { cluster, nodes: members } of clusters) {
    lines.push(paint('cluster', clusterText(cluster?.key)));
    for (const [member, trunk] of branches(members, '', lines, (tree) => nodeLine(tree, paint))) {
      nodes++;
      for (const [path, inner] of branches(member.links, trunk, lines, (tree) => linkLine(tree, paint))) {
        links++;
        relays += path.link?.relays ?? 0;
        for (const _ of branches(path.relays, inner, lines, (relay) =>
          paint(
            'faint',
            `relayed to ${printable(relay.lnkConn)} on ${printable(relay.connection)}${relay.withheld ? ' (withheld)' : ''}`,
          ),
        ));
      }
    }
  }
  const totals = [
    count(clusters.length, 'cluster'),
    count(nodes, 'node'),
    count(links, 'link'),
    count(relays, 'relay'),
  ];
  lines.push(totals.join(', '));
  return `${lines.join('\n')}\n`;
}

/** Draws a line for each item, and yields the item with the prefix of the lines below it. */
function* branches<T>(
  items: readonly T[],
  trunk: string,
  lines: string[],
  text: (item: T) => string,
): Generator<[T, string]> {
  for (const [i, item] of items.entries()) {
    const isLast = i === items.length - 1;
    lines.push(trunk + (isLast ? LAST_BRANCH : BRANCH) + text(item));
    yield [item, trunk + (isLast ? NO_TRUNK : TRUNK)];
  }
}

function nodeLine({ node }: NodeTree, paint: Paint): string {
  if (node === undefined) return '?';
  const parts = [
    paint('node', printable(node.key?.id ?? '?')),
    quoted(nodeLabel(node)),
    `pfs_type ${pfsType(node.pfsType, node.key?.cluster?.peerType ?? 0)}`,
  ];
  return parts.filter(Boolean).join(' ');
}

/** The label of a node. In circuit it is part of the key; in linkid the node has it, for display only. */
function nodeLabel(node: Node): string {
  return node.label === '' ? (node.key?.label ?? '') : node.label;
}

function linkLine({ link }: LinkTree, paint: Paint): string {
  if (link === undefined) return '?';
  const text = `${linkText(link)}, ${count(link.relays, 'relay')}`;
  return link.suspect ? `${text} ${paint('warn', '(suspect)')}` : text;
}

/** A link in a few words: `gw.1:12 dist 0 rnss 7 via gw.1:3`. */
export function linkText(link: Link): string {
  const dialect = dialectOf(link.node);
  const rnss = hasRnss(dialect) ? ` rnss ${link.rnss}` : '';
  return `${printable(link.id)} dist ${distText(link.dist, dialect)}${rnss} via ${printable(link.connection)}`;
}
