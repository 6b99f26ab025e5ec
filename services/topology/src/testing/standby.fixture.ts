import { EventEmitter } from 'node:events';
import type { ServiceError } from '@grpc/grpc-js';
import { type FollowRequest, FollowResponse } from '@spanmesh/proto/v1/replication';
import { Dialect } from '@spanmesh/proto/v1/types';
import type { Clock } from '@spanmesh/runtime/clock';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { explain } from '../api/explain.ts';
import { listClusters, listConnections, listLinks, listNodes, listRelays } from '../api/lists.ts';
import { treeParts } from '../api/tree-parts.ts';
import { Follower } from '../replication/follower.ts';
import { showStatus } from '../show/show-status.ts';
import type { View } from '../trees/view.ts';
import type { FakeLeader } from './fake-leader.fixture.ts';
import { FakeWritable } from './fake-writable.fixture.ts';
import { ANY } from './requests.fixture.ts';

/** A stream between a standby and a leader, both ends. */
export class FakeCall {
  /** What the leader writes arrives when a test says so. */
  readonly leaderEnd = new FakeWritable<Buffer>();
  readonly stream = Object.assign(new EventEmitter(), {
    pause: () => {},
    resume: () => {},
    write: (request: FollowRequest) => {
      if (request.hello !== undefined) this.#leader?.core.publisher.follow(this.leaderEnd);
      if (!this.isOver) this.leaderEnd.emit('data', request);
    },
  });
  isOver = false;
  readonly #leader: FakeLeader | undefined;

  constructor(leader: FakeLeader | undefined) {
    this.leaderEnd.on('error', (error: ServiceError) => this.end(error));
    this.#leader = leader;
    this.isOver = leader === undefined;
  }

  /** Delivers the oldest message to the standby. */
  deliver(): boolean {
    const message = this.isOver ? undefined : this.leaderEnd.sent.shift();
    if (message === undefined) return false;
    this.stream.emit('data', FollowResponse.decode(message));
    return true;
  }

  /** Ends the stream on the standby's side. */
  end(error: Partial<ServiceError> = {}): void {
    if (this.isOver) return;
    this.isOver = true;
    this.stream.emit('error', error);
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.leaderEnd.emit('cancelled');
  }
}

/** A standby in memory. Names take the place of leaders' addresses. */
export class FakeStandby {
  readonly follower: Follower;
  readonly leaders = new Map<string, FakeLeader>();
  readonly calls: FakeCall[] = [];
  /** Turns of the event loop that its work waits for; used only if `unitsPerTurn` is given. */
  readonly turns: (() => void)[] = [];
  /** Lines of its log from `warn` on: only if `isLogged`. */
  readonly log: Record<string, unknown>[] = [];

  constructor({
    clock,
    replica = 'standby',
    installation = 'spanmesh',
    settings = '',
    replicationVersion,
    unitsPerTurn = Number.POSITIVE_INFINITY,
    isLogged = false,
  }: {
    clock: Clock;
    replica?: string;
    installation?: string;
    settings?: string;
    replicationVersion?: number;
    unitsPerTurn?: number;
    isLogged?: boolean;
  }) {
    this.follower = new Follower(
      {
        replica: () => replica,
        address: () => `${replica}:1`,
        version: '1.0.0',
        installation,
        settings,
        widths: { linkid: 2, circuit: 1 },
        replicationVersion,
        unitsPerTurn,
      },
      {
        open: (address) => {
          const call = new FakeCall(this.leaders.get(address));
          this.calls.push(call);
          return call;
        },
        clock,
        logger: createLogger({
          level: isLogged ? 'warn' : 'silent',
          service: 'test',
          destination: { write: (line: string) => void this.log.push(JSON.parse(line)) },
        }),
        random: () => 0,
        later: (turn) => this.turns.push(turn),
      },
    );
  }

  /** Lets all turns pass that its work waits for. */
  finish(): void {
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) turn();
  }

  get call(): FakeCall {
    return this.calls.at(-1)!;
  }

  follow(leader: FakeLeader, name = 'leader:1'): void {
    this.leaders.set(name, leader);
    this.follower.leaderIs(name);
  }

  /** Ends the leader's turn, and delivers all its messages. */
  catchUp(leader: FakeLeader): void {
    leader.finish();
    leader.core.flush();
    leader.finish();
    while (this.call.deliver());
    this.finish();
  }
}

/** All that can be read of a state, to be compared. */
export function answersOf({ trees, history, widths }: View): unknown {
  const any = { ...ANY, withRelays: true };
  const { connections } = runNow(listConnections(trees, any));
  const { nodes } = runNow(listNodes(trees, any));
  const explained = nodes.flatMap(({ key }) =>
    connections
      .filter(({ dialect }) => dialect === key!.cluster!.dialect)
      // Nodes of one id with several labels cannot be named by the id alone.
      .map(({ id }) =>
        attempt(() => runNow(explain(trees, widths, { node: key!.id, connection: id, pageSize: 5000, pageToken: '' }))),
      ),
  );
  const none = { replica: '', leader: undefined, replicas: [], missing: [], refused: [], unheardMs: () => 0 };
  return plain({
    revision: history.revision,
    clusters: runNow(listClusters(trees, any)),
    nodes,
    links: runNow(listLinks(trees, any)),
    connections,
    relays: runNow(listRelays(trees, any)),
    tree: [...treeParts(trees, any, '')].map(sortTargets),
    explained,
    status: showStatus(none, trees, ''),
  });
}

/** The parts of a large view that are compared. */
export function treeOf({ trees, history }: View): unknown {
  const whole = { dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', withRelays: true };
  return plain([history.revision, [...treeParts(trees, whole, '')].map(sortTargets)]);
}

function attempt<T>(fn: () => T): T | string {
  try {
    return fn();
  } catch (error) {
    return String(error);
  }
}

/** Sorts the LNK_CONNs that a link is relayed to, which come in no defined order. */
function sortTargets(part: ReturnType<typeof treeParts> extends Iterable<infer T> ? T : never): unknown {
  for (const { nodes } of part.clusters) {
    for (const { links } of nodes) {
      for (const link of links) link.relays.sort((a, b) => (a.lnkConn < b.lnkConn ? -1 : 1));
    }
  }
  return part;
}

/** The value with 64-bit integers as texts, as JSON has none. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one)));
}
