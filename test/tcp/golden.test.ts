import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LivePeer } from '../peer/live-peer.ts';
import type { SpanFields } from '../peer/payloads.ts';
import type { Dialect } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/** Relay scenarios recorded from the reference daemons (test/data/golden), played to a whole router over TCP. */

type Short = string;
type Row = (string | number)[];
type Op =
  | { op: 'connect' | 'unconn' | 'drop'; c: string }
  | { op: 'conn'; c: string; peerMask: string; peerType: number; clid?: Short; peerId?: Short }
  | ({ op: 'span'; c: string; s: string; peerType: number; pfsType: number; dist: number } & Record<string, unknown>)
  | { op: 'unspan'; s: string }
  | { op: 'refuse'; c: string; s: string }
  | { op: 'check'; relays: Record<string, Row[]> };

interface Golden {
  uuids: Record<Short, string>;
  scenarios: { seed: number; ops: Op[] }[];
}

interface Differences {
  checks: { seed: number; op: number; relays: Record<string, Row[]> }[];
}

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../data/golden/${name}`, import.meta.url), 'utf8')) as T;
}

/** The operations of a scenario. A check has our relays where they differ from the reference's. */
function opsOf({ dialect, seed, ops }: { dialect: Dialect; seed: number; ops: Op[] }): Op[] {
  const { checks } = dialect === 'linkid' ? load<Differences>('differences-linkid.json') : { checks: [] };
  const differing = new Map(checks.filter((check) => check.seed === seed).map(({ op, relays }) => [op, relays]));
  return ops.map((op, at) => (op.op === 'check' ? { ...op, relays: { ...op.relays, ...differing.get(at) } } : op));
}

/** A scenario that is being played. */
class Play {
  readonly #world: World;
  readonly #dialect: Dialect;
  readonly #uuids: Record<Short, string>;
  readonly #rnssConstant: number;
  readonly #peers = new Map<string, LivePeer>();
  readonly #conns = new Map<string, bigint>();
  readonly #spans = new Map<string, { c: string; msgid: bigint; fields: Partial<SpanFields> }>();

  constructor(world: World, dialect: Dialect, uuids: Record<Short, string>, rnssConstant: number) {
    this.#world = world;
    this.#dialect = dialect;
    this.#uuids = uuids;
    this.#rnssConstant = rnssConstant;
  }

  async run(op: Op): Promise<void> {
    switch (op.op) {
      case 'connect':
        this.#peers.set(op.c, await this.#world.live(this.#dialect, { name: op.c }));
        return;
      case 'conn': {
        const cluster = this.#uuids[op.clid ?? op.peerId!]!;
        const peerMask = BigInt(`0x${op.peerMask}`);
        this.#conns.set(
          op.c,
          await this.#peer(op.c).openConn({ peerMask, peerType: op.peerType, cluster, label: op.c }),
        );
        return;
      }
      case 'unconn':
        await this.#peer(op.c).close(this.#conns.get(op.c)!);
        return;
      case 'span': {
        const fields = this.#spanFields(op);
        this.#spans.set(op.s, { c: op.c, msgid: this.#peer(op.c).openSpan(fields), fields });
        return;
      }
      case 'unspan': {
        const { c, msgid } = this.#spans.get(op.s)!;
        await this.#peer(c).close(msgid);
        return;
      }
      case 'refuse': {
        const { fields } = this.#spans.get(op.s)!;
        const peer = this.#peer(op.c);
        const same = (span: SpanFields) =>
          span.node === fields.node && span.cluster === fields.cluster && span.nodeLabel === fields.nodeLabel;
        await peer.refuse(await peer.relay(same, `the relay of ${op.s}`));
        return;
      }
      case 'drop':
        await this.#peer(op.c).hangUp();
        this.#peers.delete(op.c);
        return;
      case 'check':
        await this.#check(op.relays);
    }
  }

  async #check(expected: Record<string, Row[]>): Promise<void> {
    await this.#world.settled(...this.#peers.values());
    const held = Object.keys(expected).map((c) => [
      c,
      sorted(
        this.#peer(c)
          .relays()
          .map(({ span }) => this.#row(span)),
      ),
    ]);
    const wanted = Object.entries(expected).map(([c, rows]) => [c, sorted(rows.map((row) => this.#expand(row)))]);
    expect(Object.fromEntries(held)).toEqual(Object.fromEntries(wanted));
  }

  #peer(c: string): LivePeer {
    return this.#peers.get(c)!;
  }

  #spanFields(op: Record<string, unknown>): Partial<SpanFields> {
    const common = {
      peerType: op.peerType as number,
      pfsType: op.pfsType as number,
      dist: op.dist as number,
    };
    if (this.#dialect === 'linkid') {
      return {
        ...common,
        cluster: this.#uuids[op.clid as Short]!,
        node: this.#uuids[op.fsid as Short]!,
        nodeLabel: op.label as string,
      };
    }
    return {
      ...common,
      cluster: this.#uuids[op.peerId as Short]!,
      node: this.#uuids[op.pfsId as Short]!,
      clusterLabel: op.peerLabel as string,
      nodeLabel: op.pfsLabel as string,
      rnss: op.rnss as number,
    };
  }

  /** The fields of a relay in the order of the file's `fields`. */
  #row(span: SpanFields): Row {
    const { cluster, node, dist, peerType, pfsType } = span;
    if (this.#dialect === 'linkid') return [cluster, node, dist, span.nodeLabel, peerType, pfsType];
    const rnss = (span.rnss - this.#rnssConstant) >>> 0;
    return [cluster, node, dist, rnss, span.clusterLabel, span.nodeLabel, peerType, pfsType];
  }

  #expand(row: Row): Row {
    return [this.#uuids[row[0]!]!, this.#uuids[row[1]!]!, ...row.slice(2)];
  }
}

function sorted(rows: Row[]): Row[] {
  return [...rows].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}

describe.each(['linkid', 'circuit'] as Dialect[])('recorded relay scenarios, %s', (dialect) => {
  const golden = load<Golden>(`relay-${dialect}.json`);
  let world: World;
  /**
   * The number that this installation adds to rnss: taken from the first relay, then the same everywhere (protocol.md,
   * "The link layer" 2).
   */
  let rnssConstant = 0;

  beforeAll(async () => {
    world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
    const giver = await world.live(dialect, { name: 'giver' });
    const taker = await world.live(dialect, { name: 'taker' });
    await taker.openConn();
    giver.openSpan({ rnss: 0 });
    rnssConstant = (await taker.relay(() => true)).span.rnss;
    await world.clear();
  });
  afterAll(() => world?.stop());

  it.each(golden.scenarios.map(({ seed, ops }, at) => ({ seed, ops: opsOf({ dialect, seed, ops }), at })))(
    'scenario $at, seed $seed',
    async ({ ops }) => {
      const play = new Play(world, dialect, golden.uuids, rnssConstant);
      try {
        for (const op of ops) await play.run(op);
      } finally {
        await world.clear();
      }
    },
  );
});
