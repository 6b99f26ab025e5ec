import { useSignal } from '@preact/signals';
import { printableLabel } from '@spanmesh/ctl/output/label';
import { printable } from '@spanmesh/ctl/output/printable';
import { REASONS } from '@spanmesh/ctl/views/explain-view';
import {
  clusterText,
  count,
  dialectOf,
  distText,
  peerType,
  pfsType,
  quoted,
  timeText,
} from '@spanmesh/ctl/views/words';
import { type LinkVerdict, type LnkConnExplanation, VerdictReason } from '@spanmesh/proto/v1/topology';
import type { Connection, Link, Node } from '@spanmesh/proto/v1/types';
import { useEffect, useState } from 'preact/hooks';
import { topology, words } from '../api.ts';
import { repeat } from '../follow.ts';
import { clusters, connections, following, version } from '../mirror.ts';
import { address, route } from '../route.ts';

/** Connections explained at once: each is a call. */
const PAGE = 20;
/** How often the relays are asked for again, ms. */
const ASK_MS = 3000;

/** The answer of Explain about the node and one connection; or why there is none. */
interface Explained {
  readonly connection: Connection;
  readonly lnkConns: readonly LnkConnExplanation[];
  readonly trouble: string;
}

/** One node: its links, and for each connection which of them are relayed to it, and why the others are not. */
export function NodeView() {
  void version.value;
  const key = route.value[1] ?? '';
  const entry = [...clusters.values()].map(({ nodes }) => nodes.get(key)).find((found) => found !== undefined);
  if (entry === undefined) {
    return (
      <>
        <h1>Node</h1>
        <p role="status">
          {following.value.state === 'beginning' ? 'Loading…' : 'This node is not there, or not any more.'}{' '}
          <a href={address('tree')}>To the tree</a>
        </p>
      </>
    );
  }
  return <KnownNode node={entry.node} nodeKey={key} />;
}

function KnownNode({ node, nodeKey }: { readonly node: Node; readonly nodeKey: string }) {
  const links = useSignal<readonly Link[]>([]);
  const explained = useSignal<readonly Explained[] | null>(null);
  const [page, setPage] = useState(0);
  const dialect = dialectOf(node.key);
  const candidates = [...connections.values()].filter((one) => one.dialect === dialect && one.lnkConns.length > 0);
  const pages = Math.max(1, Math.ceil(candidates.length / PAGE));
  const asked = candidates.slice(page * PAGE, (page + 1) * PAGE);
  const ids = asked.map(({ id }) => id).join('\n');
  const id = node.key?.id ?? '';
  useEffect(
    () =>
      repeat(ASK_MS, async (signal) => {
        const list = await topology.listLinks(
          { node: id, clusterId: node.key?.cluster?.id ?? '', pageSize: 500 },
          { signal },
        );
        links.value = list.links.filter((link) => link.node?.label === node.key?.label);
        explained.value = await Promise.all(asked.map((connection) => explain(id, connection, signal)));
      }),
    [nodeKey, ids],
  );
  return (
    <>
      <h1>{node.label === '' ? 'Node' : printableLabel(node.label)}</h1>
      <dl class="facts">
        <dt>id</dt>
        <dd class="id">{printable(id)}</dd>
        <dt>cluster</dt>
        <dd>{clusterText(node.key?.cluster)}</dd>
        <dt>pfs_type</dt>
        <dd>{pfsType(node.pfsType, node.key?.cluster?.peerType ?? 0)}</dd>
      </dl>
      <h2>{count(links.value.length, 'link')}, best first</h2>
      <section class="scroll short" tabIndex={0} aria-label="Links">
        <table aria-label="Links">
          <thead>
            <tr>
              {['#', 'Link', 'On', 'Dist', 'Rnss', 'Peer type', 'Label', 'Since'].map((heading) => (
                <th key={heading} scope="col">
                  {heading}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {links.value.map((link, i) => (
              <tr key={link.id}>
                <td>{i + 1}</td>
                <td class="id">{printable(link.id)}</td>
                <td class="id">{printable(link.connection)}</td>
                <td>{distText(link.dist, dialect)}</td>
                <td>{link.rnss}</td>
                <td>{peerType(link.peerType)}</td>
                <td>
                  {quoted(link.label)} {link.suspect && <span class="warn">suspect</span>}
                </td>
                <td>{link.sinceUs === 0n ? '' : timeText(new Date(Number(link.sinceUs / 1000n)))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <h2 id="matrix">What is relayed to whom, and why</h2>
      {pages > 1 && (
        <p class="tools">
          <button type="button" class="small" disabled={page === 0} onClick={() => setPage(page - 1)}>
            Before
          </button>
          <span role="status">
            {page * PAGE + 1} to {page * PAGE + asked.length} of {count(candidates.length, 'connection')}
          </span>
          <button type="button" class="small" disabled={page >= pages - 1} onClick={() => setPage(page + 1)}>
            Next
          </button>
        </p>
      )}
      <Matrix explained={explained.value} />
    </>
  );
}

function Matrix({ explained }: { readonly explained: readonly Explained[] | null }) {
  if (explained === null) return <p role="status">Asking…</p>;
  if (explained.length === 0) return <p class="hint">No connection of this dialect has a LNK_CONN.</p>;
  const widest = Math.max(1, ...explained.flatMap(({ lnkConns }) => lnkConns.map(({ verdicts }) => verdicts.length)));
  return (
    <section class="scroll matrix" tabIndex={0} aria-labelledby="matrix">
      <table aria-labelledby="matrix">
        <thead>
          <tr>
            <th scope="col">to LNK_CONN</th>
            {Array.from({ length: widest }, (_, i) => (
              <th key={i} scope="col">
                link {i + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {explained.flatMap(({ connection, lnkConns, trouble }) =>
            trouble === ''
              ? lnkConns.map(({ lnkConn, verdicts }) => (
                  <tr key={lnkConn?.id}>
                    <th scope="row">
                      <span class="id">{printable(lnkConn?.id ?? '?')}</span> {peerType(lnkConn?.peerType ?? 0)}{' '}
                      {quoted(lnkConn?.label ?? '')}
                    </th>
                    {Array.from({ length: widest }, (_, i) => (
                      <Verdict key={i} verdict={verdicts[i]} />
                    ))}
                  </tr>
                ))
              : [
                  <tr key={connection.id}>
                    <th scope="row" class="id">
                      {printable(connection.id)}
                    </th>
                    <td colSpan={widest} class="warn">
                      {trouble}
                    </td>
                  </tr>,
                ],
          )}
        </tbody>
      </table>
    </section>
  );
}

function Verdict({ verdict }: { readonly verdict: LinkVerdict | undefined }) {
  if (verdict === undefined) return <td />;
  const { relayed, reason } = verdict;
  const isTaken = reason === VerdictReason.VERDICT_REASON_TAKEN;
  const isExpected = relayed === isTaken && reason !== VerdictReason.VERDICT_REASON_WITHHELD;
  return (
    <td class={relayed ? 'yes' : 'no'}>
      <b class={relayed ? 'good' : isExpected ? 'hint' : 'warn'}>
        <span aria-hidden="true">{relayed ? '✓' : '–'}</span>
        {relayed ? ' relayed' : ' not relayed'}
      </b>
      <br />
      {REASONS[reason]}
    </td>
  );
}

async function explain(node: string, connection: Connection, signal: AbortSignal): Promise<Explained> {
  try {
    const { lnkConns } = await topology.explain({ node, connection: connection.id }, { signal });
    return { connection, lnkConns, trouble: '' };
  } catch (error) {
    return { connection, lnkConns: [], trouble: words(error) };
  }
}
