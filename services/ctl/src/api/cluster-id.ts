import { UUID_TEXT } from '@spanmesh/dmsg/uuid';
import type { DialectName } from '@spanmesh/proto/dialect';
import { Failure } from '../failure.ts';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import { dialectFilter } from './dialect-filter.ts';
import type { TopologyApi } from './topology-api.ts';

/**
 * The id of the cluster that was typed, either by its id in upper or lower case, or by its label (as the API shows it)
 * if only one cluster has that label.
 * @throws Failure usage: none has this label, or several have it; and what the call throws
 */
export async function clusterIdOf(
  api: Pick<TopologyApi, 'clusters'>,
  typed: string | undefined,
  dialect: DialectName | undefined,
): Promise<string | undefined> {
  if (typed === undefined || typed === '' || UUID_TEXT.test(typed)) return typed?.toLowerCase();
  const { items } = await api.clusters({ dialect: dialectFilter(dialect), id: '' });
  const ids = new Set(items.filter(({ key }) => key?.peerLabel === typed).map(({ key }) => key?.id ?? ''));
  const [id, ...others] = ids;
  if (id !== undefined && others.length === 0) return id;
  const label = `"${printableLabel(typed)}"`;
  if (id === undefined)
    throw new Failure('usage', `no cluster has the id or label ${label}: \`spanmesh clusters\` lists them`);
  throw new Failure(
    'usage',
    `several clusters have the label ${label}, give the id of one: ${[...ids].map(printable).join(', ')}`,
  );
}
