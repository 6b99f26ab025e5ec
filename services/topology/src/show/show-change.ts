import { type Change, ChangeKind as ProtoKind } from '@spanmesh/proto/v1/topology';
import { linkId } from '../trees/show-ids.ts';
import type { ChangeKind, RecordedChange } from '../trees/tree-events.ts';
import { showCluster, showNode } from './show-cluster.ts';
import { showConnection, showLnkConn } from './show-connection.ts';
import { showLink } from './show-link.ts';

/** The most relays in one Change: more are divided, so that no message grows with the number of LNK_CONNs. */
const MOST_RELAYS = 4096;

/** A change as messages of the API. Objects are shown in their current state; removed ones keep their last state. */
export function* showChange(change: RecordedChange, withRelays: boolean): Iterable<Change> {
  switch (change.of) {
    case 'cluster':
      yield { kind: protoKind(change.kind), cluster: showCluster(change.object) };
      return;
    case 'node':
      yield { kind: protoKind(change.kind), node: showNode(change.object) };
      return;
    case 'link':
      yield { kind: protoKind(change.kind), link: showLink(change.object) };
      return;
    case 'connection':
      yield { kind: protoKind(change.kind), connection: showConnection(change.object) };
      return;
    case 'lnkConn':
      yield { kind: protoKind(change.kind), lnkConn: showLnkConn(change.object) };
      return;
    case 'relays': {
      if (!withRelays) return;
      const { link, gateway, open, close } = change.group;
      const parts = (kind: ProtoKind, ids: readonly number[]) => relayChanges(kind, linkId(link), gateway.id, ids);
      yield* parts(ProtoKind.CHANGE_KIND_ADDED, open);
      yield* parts(ProtoKind.CHANGE_KIND_REMOVED, close);
    }
  }
}

function* relayChanges(kind: ProtoKind, link: string, gateway: string, ids: readonly number[]): Iterable<Change> {
  for (let at = 0; at < ids.length; at += MOST_RELAYS) {
    yield { kind, relays: { link, lnkConns: ids.slice(at, at + MOST_RELAYS).map((id) => `${gateway}:${id}`) } };
  }
}

function protoKind(kind: ChangeKind): ProtoKind {
  if (kind === 'added') return ProtoKind.CHANGE_KIND_ADDED;
  return kind === 'changed' ? ProtoKind.CHANGE_KIND_CHANGED : ProtoKind.CHANGE_KIND_REMOVED;
}
