import { status } from '@grpc/grpc-js';
import type { FollowHello, FollowResponse, TreeChange } from '@spanmesh/proto/v1/replication';
import { ProcessKind, RefusalCause, ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { WorkList } from '@spanmesh/runtime/work-list';
import type { Widths } from '@spanmesh/spantree/tree';
import type { Leadership } from '../attach/leadership.ts';
import type { Refusals } from '../attach/refusals.ts';
import { countsOf, wholeMs } from '../show/show-status.ts';
import { type History, revisionAt } from '../trees/history.ts';
import type { Journal, Trees } from '../trees/trees.ts';
import { encodeResponse, inMessages, REPLICATION_VERSION } from './messages.ts';
import { TreesSnapshot } from './snapshot-changes.ts';
import { type FollowStream, type StandbyHost, StandbyStream } from './standby-stream.ts';

/** The longest time between two messages to a standby, ms. */
export const HEARTBEAT_MS = 250;
/** Streams of standbys at a time: more than an installation has replicas. */
export const MAX_STANDBYS = 16;
/** The same problem is logged at most once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;
/** Characters of the id, address and version that a standby states. */
const MAX_TEXT_CHARS = 300;

export interface PublisherOptions {
  readonly widths: Widths;
  /** Name of the installation. */
  readonly installation: string;
  /** The settings that must be equal at all replicas, as text. */
  readonly settings: string;
}

export interface PublisherDeps {
  readonly trees: Trees;
  readonly history: History;
  readonly leadership: Leadership;
  readonly refusals: Refusals;
  readonly work: Pick<WorkList, 'isBusy'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asks for a flush at the end of this turn. */
  readonly request: () => void;
  /** The leader and its standbys, to be reported to the standbys. */
  readonly replicas: () => readonly ReplicaStatus[];
}

/**
 * The leader's side of replication: sends each standby a snapshot, then every change, once a turn. It costs nothing
 * while nobody follows.
 */
export class Publisher implements StandbyHost {
  /** Messages and bytes sent or queued for standbys, and standbys cut off, so far. */
  messages = 0;
  bytes = 0;
  cutOff = 0;
  readonly #options: PublisherOptions;
  readonly #deps: PublisherDeps;
  readonly #standbys = new Set<StandbyStream>();
  readonly #journal: Journal;
  readonly #throttle: Throttle;
  #changes: TreeChange[] = [];
  /** Something has changed since the last selection that the journal recorded. */
  #unselected = false;
  /** A part of a batch was sent to standbys; the rest follows. */
  #isInParts = false;
  #unsubscribe: (() => void) | undefined;
  #timer: Timer | undefined;

  constructor(options: PublisherOptions, deps: PublisherDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
    this.#journal = (gateway, change) => {
      if (change.selected === true && !this.#unselected) return;
      this.#unselected = change.selected !== true;
      this.#changes.push({ gateway: gateway?.number ?? 0, ...change });
      deps.request();
    };
  }

  /** Standbys that have been sent a snapshot. */
  get followers(): number {
    return this.#following().length;
  }

  /** Bytes of changes that are queued because standbys do not read. */
  get queuedBytes(): number {
    return this.#following().reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
  }

  /** Takes a new stream of a standby. */
  follow(stream: FollowStream): void {
    const standby = new StandbyStream(stream, this);
    if (this.#standbys.size >= MAX_STANDBYS) {
      standby.refuse(status.RESOURCE_EXHAUSTED, `${MAX_STANDBYS} standbys follow already.`);
      return;
    }
    this.#standbys.add(standby);
    this.#timer ??= this.#deps.clock.after(HEARTBEAT_MS, () => this.#telling(() => this.#beat()));
  }

  /** Ends every stream: this replica does not lead any more, or is going to stop. */
  endAll(details: string): void {
    for (const standby of this.#standbys) standby.refuse(status.FAILED_PRECONDITION, details);
    this.#standbys.clear();
    this.#rest();
  }

  /** Sends the changes of this turn. Call it at the end of the turn, when all its changes are decided. */
  flush(): void {
    if (this.#standbys.size === 0) return;
    this.#telling(() => {
      this.#publish();
      const waiting = [...this.#standbys].filter(({ state }) => state === 'waiting');
      if (waiting.length > 0 && this.#deps.leadership.settled) this.#begin(waiting);
    });
  }

  /** Sends the changes so far as a part of a batch: a turn ends in the middle of a sliced change. */
  sliced(): void {
    if (this.#changes.length > 0) this.#telling(() => this.#send(true));
  }

  /**
   * An error while a message is made ends the standbys' streams and leaves the leader alone: standbys follow anew, with
   * a snapshot.
   */
  #telling(tell: () => void): void {
    try {
      tell();
    } catch (err) {
      for (const standby of [...this.#standbys]) this.untold(standby, err);
    }
  }

  untold(standby: StandbyStream, err: unknown): void {
    const { log, suppressed } = this.#throttle.admit('not told');
    if (log) this.#deps.logger.error({ err, suppressed }, 'standbys cannot be told what changes: they follow anew');
    this.#drop(standby, status.INTERNAL, 'The leader failed to say what has changed; its log says why.');
  }

  hello(standby: StandbyStream, hello: FollowHello): void {
    const { replica, address, version, protocolVersion } = hello;
    const why = this.#deps.leadership.notLeading();
    if (why !== null) this.#drop(standby, status.FAILED_PRECONDITION, why);
    else if (protocolVersion !== REPLICATION_VERSION) {
      const details = `The leader replicates by version ${REPLICATION_VERSION} of the protocol, the standby by ${protocolVersion}.`;
      this.#refuse(standby, hello, { code: status.UNIMPLEMENTED, cause: RefusalCause.REFUSAL_CAUSE_VERSION, details });
    } else if (hello.installation !== this.#options.installation) {
      const details = `The leader is of installation ${this.#options.installation}, the standby of ${shown(hello.installation)}.`;
      const cause = RefusalCause.REFUSAL_CAUSE_OTHER_INSTALLATION;
      this.#refuse(standby, hello, { code: status.FAILED_PRECONDITION, cause, details });
    } else if (hello.settings !== this.#options.settings) {
      const details = `Settings that must be equal at all replicas differ: the leader has ${this.#options.settings}, the standby ${shown(hello.settings)}.`;
      const cause = RefusalCause.REFUSAL_CAUSE_SETTINGS;
      this.#refuse(standby, hello, { code: status.FAILED_PRECONDITION, cause, details });
    } else if (replica === '' || [replica, address, version].some(({ length }) => length > MAX_TEXT_CHARS)) {
      this.#drop(standby, status.INVALID_ARGUMENT, 'A standby needs an id and an address.');
    } else {
      for (const other of this.#standbys) {
        if (other.hello?.replica === replica) {
          this.#drop(other, status.ABORTED, 'A newer stream of this standby has replaced this one.');
        }
      }
      this.#deps.refusals.taken({ kind: ProcessKind.PROCESS_KIND_TOPOLOGY, name: address });
      standby.accept(hello);
      this.#deps.logger.info({ replica, address, version }, 'standby follows');
      this.#deps.request();
    }
  }

  overflow(standby: StandbyStream): void {
    this.cutOff++;
    this.#deps.logger.warn({ ...said(standby) }, 'standby does not read what changes: it is cut off');
    this.#drop(standby, status.RESOURCE_EXHAUSTED, 'Too many changes wait to be read: follow again.');
  }

  ended(standby: StandbyStream): void {
    if (standby.hello !== undefined) this.#deps.logger.info({ ...said(standby) }, 'standby follows no longer');
    this.#forget(standby);
  }

  /** The standbys that have sent Hello, as far as the leader knows. */
  standbys(): ReplicaStatus[] {
    const role = ReplicaRole.REPLICA_ROLE_STANDBY;
    const known: ReplicaStatus[] = [];
    for (const { hello, acknowledged } of this.#standbys) {
      if (hello === undefined) continue;
      const { replica, address, version } = hello;
      const { position, clockMs = 0 } = acknowledged ?? {};
      const hasState = position !== undefined;
      const lagMs = hasState ? wholeMs(this.#deps.clock.now() - clockMs) : 0;
      const revision = hasState ? revisionAt(position) : '';
      known.push({ replica, address, role, lagMs, hasState, version, revision });
    }
    return known.sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  #following(): StandbyStream[] {
    return [...this.#standbys].filter(({ state }) => state === 'following');
  }

  #begin(waiting: readonly StandbyStream[]): void {
    const { trees, history } = this.#deps;
    const { widths } = this.#options;
    if (trees.journal === undefined) {
      trees.journal = this.#journal;
      this.#unsubscribe = history.onBatch(() => this.#journal(null, { committed: history.position }));
    }
    const begin = this.#encode({ snapshotBegin: { linkidWidth: widths.linkid, circuitWidth: widths.circuit } });
    const end = this.#encode({ ...this.#now(), snapshotEnd: {} });
    // A new standby must consider everything at its next selection.
    this.#unselected = true;
    for (const standby of waiting) {
      this.#deps.logger.info({ ...said(standby), ...countsOf(trees) }, 'standby is sent a snapshot');
      standby.begin(this.#snapshot({ begin, end }));
    }
  }

  /** The messages of a snapshot: the trees as they are when the first message is asked for. */
  *#snapshot({ begin, end }: { readonly begin: Buffer; readonly end: Buffer }): Generator<Buffer, void, void> {
    const snapshot = new TreesSnapshot(this.#deps.trees);
    try {
      yield this.#counted(begin);
      for (const changes of inMessages(snapshot.changes())) {
        yield this.#counted(this.#encode({ snapshot: { changes, more: true } }));
      }
      yield this.#counted(end);
    } finally {
      snapshot.close();
    }
  }

  #publish(): void {
    // A batch needs its position before it is sent, because standbys take positions from the leader.
    this.#deps.history.commit();
    if (this.#changes.length > 0 || this.#isInParts) this.#send(false);
  }

  /** Sends the noted changes. `isPart`: the rest of the batch follows. */
  #send(isPart: boolean): void {
    const changes = this.#changes;
    this.#changes = [];
    this.#isInParts = isPart;
    const following = this.#following();
    const parts = changes.length === 0 ? [[]] : [...inMessages(changes)];
    for (const [i, part] of parts.entries()) {
      const more = isPart || i + 1 < parts.length;
      const message = this.#encode({ ...(more ? {} : this.#now()), delta: { changes: part, more } });
      for (const standby of following) {
        this.#count(message);
        standby.send(message);
      }
    }
  }

  #beat(): void {
    this.#timer = this.#deps.clock.after(HEARTBEAT_MS, () => this.#telling(() => this.#beat()));
    const { isBusy } = this.#deps.work;
    // The heartbeat carries counts to compare, so the changes are sent first.
    if (!isBusy) this.#publish();
    const replicas = [...this.#deps.replicas()];
    const beat = (fields: Partial<FollowResponse>, state: string): void => {
      const to = [...this.#standbys].filter((standby) => standby.state === state);
      if (to.length === 0) return;
      const message = this.#encode({ ...fields, replicas });
      for (const standby of to) {
        this.#count(message);
        standby.heartbeat(message);
      }
    };
    // While a change is half done, counts cannot be compared.
    beat(isBusy ? {} : this.#now(), 'following');
    beat({}, 'waiting');
  }

  #now(): Pick<FollowResponse, 'position' | 'counts'> {
    const { trees, history } = this.#deps;
    return { position: history.position, counts: countsOf(trees) };
  }

  #encode(fields: Partial<FollowResponse>): Buffer {
    const unset = { position: undefined, counts: undefined, replicas: [] };
    return encodeResponse({ ...unset, ...fields, clockMs: this.#deps.clock.now() });
  }

  #count(message: Buffer): void {
    this.messages++;
    this.bytes += message.length;
  }

  #counted(message: Buffer): Buffer {
    this.#count(message);
    return message;
  }

  #refuse(
    standby: StandbyStream,
    { address }: FollowHello,
    { code, cause, details }: { code: status; cause: RefusalCause; details: string },
  ): void {
    const name = shown(address);
    this.#deps.refusals.note({ kind: ProcessKind.PROCESS_KIND_TOPOLOGY, name, cause, details });
    this.#deps.logger.warn({ standby: name, details }, 'a standby is refused');
    this.#drop(standby, code, details);
  }

  #drop(standby: StandbyStream, code: status, details: string): void {
    standby.refuse(code, details);
    this.#forget(standby);
  }

  #forget(standby: StandbyStream): void {
    this.#standbys.delete(standby);
    if (this.#following().length === 0) this.#rest();
  }

  /** Stops noting changes: nobody follows. */
  #rest(): void {
    this.#deps.trees.journal = undefined;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#changes = [];
    this.#isInParts = false;
    if (this.#standbys.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

function shown(text: string): string {
  return text.slice(0, MAX_TEXT_CHARS);
}

function said({ hello }: StandbyStream): { replica: string; address: string } {
  return { replica: hello?.replica ?? '', address: hello?.address ?? '' };
}
