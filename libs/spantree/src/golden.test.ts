import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Connection, type Dialect, type Link, type LnkConn, SpanTree } from './tree.ts';

interface SpanOp {
  readonly op: 'span';
  readonly c: string;
  readonly s: string;
  readonly clid?: string;
  readonly fsid?: string;
  readonly peerId?: string;
  readonly pfsId?: string;
  readonly peerType: number;
  readonly pfsType: number;
  readonly label?: string;
  readonly peerLabel?: string;
  readonly pfsLabel?: string;
  readonly dist: number;
  readonly rnss?: number;
}

type Op =
  | SpanOp
  | { readonly op: 'connect' | 'drop' | 'unconn'; readonly c: string }
  | {
      readonly op: 'conn';
      readonly c: string;
      readonly peerMask: string;
      readonly peerType: number;
      readonly clid?: string;
      readonly peerId?: string;
    }
  | { readonly op: 'unspan'; readonly s: string }
  | { readonly op: 'refuse'; readonly c: string; readonly s: string }
  | Check;

interface Check {
  readonly op: 'check';
  readonly relays: Readonly<Record<string, readonly unknown[][]>>;
}

interface Golden {
  readonly dialect: Dialect;
  readonly uuids: Readonly<Record<string, string>>;
  readonly scenarios: readonly { readonly seed: number; readonly ops: readonly Op[] }[];
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../test/data/golden', name), 'utf8')) as T;
}

function golden(dialect: Dialect): Golden {
  return read(`relay-${dialect}.json`);
}

interface Differences {
  readonly checks: readonly { readonly seed: number; readonly op: number; readonly relays: Check['relays'] }[];
}

const LINKID_DIFFERENCES = read<Differences>('differences-linkid.json');

/** The relays of ours that differ from the reference's, after one operation of a scenario; null: none. */
function differences(dialect: Dialect, seed: number, op: number): Check['relays'] | null {
  if (dialect === 'circuit') return null;
  return LINKID_DIFFERENCES.checks.find((check) => check.seed === seed && check.op === op)?.relays ?? null;
}

/** The fields of the link's relay on the wire, in the order of the file's `fields`. */
function relayed(dialect: Dialect, op: SpanOp): unknown[] {
  return dialect === 'linkid'
    ? [op.clid, op.fsid, Math.max(0, op.dist) + 1, op.label, op.peerType, op.pfsType]
    : [op.peerId, op.pfsId, op.dist + 1, op.rnss, op.peerLabel, op.pfsLabel, op.peerType, op.pfsType];
}

function play(dialect: Dialect, uuids: Golden['uuids'], { seed, ops }: Golden['scenarios'][number]): number {
  const tree = new SpanTree();
  const connections = new Map<string, Connection>();
  const lnkConns = new Map<string, LnkConn>();
  const links = new Map<string, Link>();
  const open = new Map<LnkConn, Set<Link>>();
  let checks = 0;
  for (const [at, op] of ops.entries()) {
    switch (op.op) {
      case 'connect':
        connections.set(op.c, tree.addConnection('gateway', at));
        break;
      case 'drop':
        tree.removeConnection(connections.get(op.c)!);
        lnkConns.delete(op.c);
        break;
      case 'conn': {
        const lnkConn = tree.addLnkConn(connections.get(op.c)!, at, {
          dialect,
          peerMaskHi: Number.parseInt(op.peerMask.slice(0, 8), 16),
          peerMaskLo: Number.parseInt(op.peerMask.slice(8), 16),
          peerType: op.peerType,
          clusterId: uuids[(op.clid ?? op.peerId)!]!,
        });
        lnkConns.set(op.c, lnkConn);
        open.set(lnkConn, new Set());
        break;
      }
      case 'unconn':
        tree.removeLnkConn(lnkConns.get(op.c)!);
        lnkConns.delete(op.c);
        break;
      case 'span': {
        const link = tree.addLink(connections.get(op.c)!, at, {
          dialect,
          clusterId: uuids[(op.clid ?? op.peerId)!]!,
          nodeId: uuids[(op.fsid ?? op.pfsId)!]!,
          peerType: op.peerType,
          peerLabel: op.peerLabel ?? '',
          label: (op.label ?? op.pfsLabel)!,
          dist: op.dist,
          rnss: op.rnss ?? 0,
          stamp: at,
        });
        link.data = op;
        links.set(op.s, link);
        break;
      }
      case 'unspan':
        tree.removeLink(links.get(op.s)!);
        break;
      case 'refuse':
        tree.refuse(lnkConns.get(op.c)!, links.get(op.s)!);
        break;
      case 'check':
        tree.flush({
          open: (link, lnkConn) => open.get(lnkConn)!.add(link),
          close: (link, lnkConn) => open.get(lnkConn)!.delete(link),
          gone: (link, lnkConn) => open.get(lnkConn)!.delete(link),
        });
        for (const [c, wanted] of Object.entries({ ...op.relays, ...differences(dialect, seed, at) })) {
          const lnkConn = lnkConns.get(c);
          const held = lnkConn === undefined ? [] : [...open.get(lnkConn)!];
          const seen = held.map((link) => JSON.stringify(relayed(dialect, link.data as SpanOp)));
          expect(seen.sort(), `${c} at operation ${at}`).toEqual(wanted.map((r) => JSON.stringify(r)).sort());
        }
        checks++;
    }
  }
  return checks;
}

describe.each(['linkid', 'circuit'] as const)('what the reference daemon relayed, %s', (dialect) => {
  const { uuids, scenarios } = golden(dialect);

  it('is there', () => {
    expect(scenarios.length).toBeGreaterThan(80);
  });

  it.each(scenarios)('scenario $seed', (scenario) => {
    expect(play(dialect, uuids, scenario)).toBeGreaterThan(0);
  });
});
