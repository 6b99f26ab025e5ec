// Keeps a list of all nodes, and prints what changes in it: node docs/examples/watch.ts [HOST:PORT]
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { ChangeKind, type ListNodesResponse, TopologyClient, type WatchResponse } from '@spanmesh/proto/v1/topology';
import type { Node } from '@spanmesh/proto/v1/types';

const client = new TopologyClient(process.argv[2] ?? '127.0.0.1:7987', credentials.createInsecure());
let nodes = new Map<string, Node>();
const idOf = ({ key }: Node) => JSON.stringify(key);

/** All nodes, page by page. What changes meanwhile comes again with a watch from the first page's revision. */
async function list(): Promise<string> {
  const listed = new Map<string, Node>();
  let [revision, pageToken] = ['', ''];
  do {
    const page = await new Promise<ListNodesResponse>((resolve, reject) => {
      const request = { pageSize: 0, pageToken, dialect: 0, clusterId: '', node: '' } as const;
      client.listNodes(request, (error, response) => (error === null ? resolve(response) : reject(error)));
    });
    for (const node of page.nodes) listed.set(idOf(node), node);
    revision ||= page.revision;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  for (const [id, { label }] of nodes) if (!listed.has(id)) console.log(`- ${label}`);
  for (const [id, { label }] of listed) if (!nodes.has(id)) console.log(`+ ${label}`);
  nodes = listed;
  return revision;
}

/** Takes over one message of a watch. Returns from where to resume, or null: list again. */
function take({ changes, created, progress, listAgain }: WatchResponse, before: string): string | null {
  for (const { kind, node } of changes?.changes ?? []) {
    if (node === undefined) continue;
    const isNew = kind !== ChangeKind.CHANGE_KIND_REMOVED && !nodes.has(idOf(node));
    if (isNew) console.log(`+ ${node.label}`);
    if (kind === ChangeKind.CHANGE_KIND_REMOVED && nodes.delete(idOf(node))) console.log(`- ${node.label}`);
    if (kind !== ChangeKind.CHANGE_KIND_REMOVED) nodes.set(idOf(node), node);
  }
  return listAgain !== undefined ? null : ((changes ?? created ?? progress)?.revision ?? before);
}

for (let revision: string | null = null; ; await sleep(1000)) {
  try {
    revision ??= await list();
    for await (const message of client.watch({ revision, withRelays: false })) {
      revision = take(message as WatchResponse, revision ?? '');
      if (revision === null) break;
    }
  } catch (error) {
    // The way to it is lost, or it is not there yet: again, from the last revision.
    console.error(String(error));
  }
}
