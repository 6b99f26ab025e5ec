import { splitId } from '@spanmesh/proto/gateway-id';
import { ExplainResponse, type LinkVerdict } from '@spanmesh/proto/v1/topology';
import { type Connection, Dialect, type Node, type NodeKey } from '@spanmesh/proto/v1/types';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { printableLabel } from '../output/label.ts';
import { type Paint, paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { nodeSelector } from '../route/node-selector.ts';
import { type Measured, pingOnce } from '../route/ping-once.ts';
import { type Terminal, write } from '../terminal.ts';
import { renderExplanation } from '../views/explain-view.ts';
import { clusterText, dialectName, quoted } from '../views/words.ts';

/** The ends of a trace: `from` is a connection, or a node that came in on exactly one; `to` is a node. */
export interface TraceQuery {
  readonly from: string;
  readonly to: string;
}

/** A part of the way, with its round-trip time. */
interface Hop {
  readonly kind: 'peer' | 'gateway' | 'trunk';
  readonly name: string;
  readonly measured: Measured;
}

/** The hops of the way, or why there is none. */
interface Way {
  readonly explanation: ExplainResponse;
  /** The link that messages to the node take. */
  readonly taken: LinkVerdict | undefined;
  readonly hops: readonly Hop[];
}

/**
 * Prints the way between two peers: which gateways and trunks pass on the messages of the first to the node, the
 * round-trip time of each part, and for each link of the node why it is taken or not.
 * @throws Failure refused: there is no way
 */
export async function trace(query: TraceQuery, options: ApiOptions, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const way = await wayOf(query, api, options);
    if (isDocument(options.output)) await writeDocument(options.output, terminal.out, document(way));
    else await write(terminal.out, wayText(way, paintFor(terminal.out)));
    if (way.taken === undefined) {
      const { to, from } = query;
      throw new Failure('refused', `there is no way: no link of ${printable(to)} is relayed to ${printable(from)}`);
    }
  } finally {
    api.close();
  }
}

async function wayOf({ from, to }: TraceQuery, api: TopologyApi, options: ApiOptions): Promise<Way> {
  const explanation = await explainFrom(api, { from, to });
  const verdicts = explanation.lnkConns.flatMap(({ verdicts }) => verdicts);
  const taken = verdicts.find(({ relayed }) => relayed);
  if (taken?.link === undefined) return { explanation, taken: undefined, hops: [] };
  const { connection, node } = explanation;
  const [here, there] = [splitId(connection?.id ?? '').gateway, splitId(taken.link.connection).gateway];
  // Only a span of the first peer itself can answer a PING on its connection.
  const offered = connection === undefined ? undefined : await nodeOn(api, connection);
  const first =
    offered === undefined ? notMeasured('it offers no node that could be asked') : await measure(offered, options);
  const last = node?.key === undefined ? notMeasured('it has no id') : await measure(node.key, options);
  const hops: Hop[] = [
    { kind: 'peer', name: peerName(connection), measured: first },
    { kind: 'gateway', name: here, measured: notMeasured('a gateway does not time what it passes on') },
  ];
  if (here !== there) {
    hops.push(
      { kind: 'trunk', name: `${here} → ${there}`, measured: notMeasured('nothing can be sent to a trunk alone') },
      { kind: 'gateway', name: there, measured: notMeasured('a gateway does not time what it passes on') },
    );
  }
  hops.push({
    kind: 'peer',
    name: `${nodeName(node)}, link ${taken.link.id}, connection ${taken.link.connection}`,
    measured: last,
  });
  return { explanation, taken, hops };
}

/** Explains the way from a connection, or from a node that came in on exactly one. @throws Failure */
async function explainFrom(api: TopologyApi, { from, to }: TraceQuery): Promise<ExplainResponse> {
  try {
    return await api.explain(to, from);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'refused') throw error;
    const links = await api.links({ dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', node: from, connection: '' });
    const connections = [...new Set(links.items.map(({ connection }) => connection))];
    const [only] = connections;
    if (only === undefined) throw error;
    if (connections.length === 1) return api.explain(to, only);
    const shown = connections.slice(0, 5).map(printable).join(', ');
    throw new Failure(
      'usage',
      `${printableLabel(from)} has come in on ${connections.length} connections: name one of ${shown}`,
    );
  }
}

async function nodeOn(api: TopologyApi, { id }: Connection): Promise<NodeKey | undefined> {
  const links = await api.links({ dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', node: '', connection: id });
  // Nodes with a higher dist are behind the peer, which only passes them on.
  return links.items.find(({ dist }) => dist === 0)?.node;
}

async function measure({ id, cluster }: NodeKey, options: ApiOptions): Promise<Measured> {
  return pingOnce(await nodeSelector(id, cluster === undefined ? {} : { cluster: cluster.id }, options), options);
}

function notMeasured(why: string): Measured {
  return { why };
}

function peerName(connection: Connection | undefined): string {
  const label = connection?.lnkConns.find((lnkConn) => lnkConn.label !== '')?.label ?? '';
  const { id = '?', dialect, remoteAddress = '' } = connection ?? {};
  return [quoted(label), `connection ${printable(id)}`, dialectName(dialect), printable(remoteAddress)]
    .filter(Boolean)
    .join(' ');
}

function nodeName(node: Node | undefined): string {
  return quoted(node?.label ?? '') || printable(node?.key?.id ?? '?');
}

function wayText({ explanation, hops }: Way, paint: Paint): string {
  const lines = hops.map(({ kind, name, measured }, i) => {
    const time =
      'ms' in measured
        ? paint('good', `${measured.ms.toFixed(2)} ms there and back`)
        : `not measured: ${printable(measured.why)}`;
    return `${String(i + 1).padStart(2)} ${kind.padEnd(8)} ${paint('node', name)}\n   ${' '.repeat(8)} ${time}\n`;
  });
  const head = hops.length === 0 ? '' : `way in ${clusterText(explanation.node?.key?.cluster)}\n${lines.join('')}\n`;
  return `${head}${renderExplanation(explanation, paint)}`;
}

function document({ explanation, hops }: Way): object {
  const shown = hops.map(({ kind, name, measured }) => ({
    kind,
    name,
    ...('ms' in measured ? { roundTripMs: measured.ms } : { notMeasured: measured.why }),
  }));
  return { hops: shown, explanation: protobufJson(ExplainResponse, explanation) };
}
