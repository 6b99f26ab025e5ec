import { DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { CommandRunner } from '@spanmesh/link-gateway/attach/commands';
import { Reports } from '@spanmesh/link-gateway/attach/reports';
import { cutSnapshot } from '@spanmesh/link-gateway/attach/snapshot';
import { GatewayMetrics } from '@spanmesh/link-gateway/metrics';
import { OpenTables } from '@spanmesh/link-gateway/peers/open-tables';
import { Link, LnkConn, Peer, Relay, RelaySource } from '@spanmesh/link-gateway/peers/peer';
import { Relays } from '@spanmesh/link-gateway/peers/relays';
import { StateChangeParts } from '@spanmesh/proto/state-change';
import {
  type AttachRequest,
  type AttachResponse,
  Commands,
  type GatewayTrunks,
  RefusalReason,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import { type Job, runNow } from '@spanmesh/runtime/grpc/slices';
import { NO_TRACING } from '@spanmesh/runtime/trace/tracing';
import type { Dialect } from '@spanmesh/spantree/tree';
import type { FakeLeader } from '@spanmesh/topology/testing/fake-leader.fixture';
import { FakeStream } from '@spanmesh/topology/testing/fake-stream.fixture';
import { spanPayload, uuid } from '@spanmesh/topology/testing/payloads.fixture';

/** Parts of snapshots and deltas, so small that most have several. */
const PART_BYTES = 900;
/** More bytes than a connection may have queued before relays wait. */
const MUCH_BYTES = 1e9;

/** The part of a connection that relays need. `open`: the transactions that are open on the wire. */
export interface ModelConnection {
  readonly id: number;
  readonly dialect: Dialect;
  readonly peer: Peer;
  readonly lnkConns: ReadonlySet<LnkConn>;
  readonly open: Set<Transaction<Relay | null>>;
  queuedBytes: number;
  endpoint: object | null;
  isOpen: boolean;
}

export interface ModelLink {
  readonly link: Link;
  readonly connection: ModelConnection;
  readonly node: number;
  readonly dist: number;
}

/**
 * The real gateway's side of Attach (tables, relays, reports, commands, snapshots). Its peers are only sets of open
 * transactions, and the leader's stream is in memory: each message on it arrives when the test says so.
 */
export class ModelGateway {
  readonly name: string;
  boot: string;
  readonly tables = new OpenTables();
  readonly connections = new Map<number, ModelConnection>();
  readonly links = new Map<number, ModelLink>();
  /** Return paths in use. */
  readonly backs: Relay[] = [];
  /**
   * Other gateways: those that topology has named to it, those that it cannot reach, and those that it has trunks to.
   */
  readonly peers = new Set<string>();
  readonly unreachable = new Set<string>();
  readonly established = new Set<string>();
  readonly reports = new Reports();
  readonly relays: Relays;
  stream: FakeStream | undefined;
  leader: FakeLeader | undefined;
  live = false;
  /** Relays opened and closed on the wire so far. */
  opens = 0;
  closes = 0;
  /** Called when it takes another id. */
  onRenamed: (before: string) => void = () => {};
  readonly #runner: CommandRunner;
  #up: Partial<AttachRequest>[] = [];
  #read = 0;
  #epoch = 0;
  #obeyed = 0;
  #obeyedTold = 0;
  /** The snapshot, while it is cut. */
  #cutting: { readonly parts: StateChangeParts; readonly lastNumber: number; readonly job: Job<void> } | null = null;
  #peerCount = 0;

  constructor(name: string, boot: string) {
    this.name = name;
    this.boot = boot;
    const { tables, reports } = this;
    const metrics = new GatewayMetrics();
    const shares = { chargeRelay: () => {}, enforceRelays: () => {}, isOverRelays: false };
    const endings = { run: (_principal: string, job: Iterable<number>) => void [...job] };
    this.relays = new Relays({ reports, metrics, clock: { now: () => 0 }, shares, tables, endings });
    const probe = ({ liveness }: Peer) => liveness.suspect();
    const drains = { close: () => {}, order: () => {} };
    this.#runner = new CommandRunner({
      tracing: NO_TRACING,
      tables,
      relays: this.relays,
      metrics,
      shares,
      offerers: { learn: () => {} },
      prober: { probe },
      drains,
    });
  }

  get id(): string {
    return `${this.name}.${this.boot}`;
  }

  /** `n` of the last commands that it has obeyed. */
  get obeyed(): number {
    return this.#obeyed;
  }

  openConnection(dialect: Dialect): ModelConnection {
    const open = new Set<Transaction<Relay | null>>();
    let msgid = 0;
    const endpoint = {
      rules: { dialect },
      openLike: (handler: TransactionHandler<Relay | null>) => {
        const tx = {
          endpoint,
          data: null,
          handler,
          msgidLo: ++msgid,
          msgidHi: 1,
          closed: false,
        } as never as Transaction<Relay | null>;
        open.add(tx);
        this.opens++;
        return tx;
      },
      end: (tx: Transaction<Relay | null>) => {
        if (open.delete(tx)) this.closes++;
      },
      cutting: (tx: Transaction<Relay | null>) => {
        endpoint.end(tx);
        return null;
      },
    };
    const id = this.tables.nextNumber();
    const remote = `192.0.2.1:${1000 + ++this.#peerCount}`;
    const about = { remote, local: '192.0.2.9:987', sinceUs: 1, origin: { kind: 'accepted' }, principal: '192.0.2.1' };
    const fake = { id, dialect, open, endpoint, queuedBytes: 0, isOpen: true, ...about };
    const peer = new Peer(fake as never);
    const connection: ModelConnection = Object.assign(fake, { peer, lnkConns: peer.lnkConns });
    this.tables.connections.set(id, peer);
    this.connections.set(id, connection);
    this.reports.connectionOpened(peer);
    return connection;
  }

  closeConnection(connection: ModelConnection): void {
    this.tables.connections.delete(connection.id);
    this.connections.delete(connection.id);
    this.reports.tell('connectionsClosed', connection.peer.id);
    connection.endpoint = null;
    connection.isOpen = false;
    connection.peer.waitingRelays = [];
    for (const tx of [...connection.open]) {
      connection.open.delete(tx);
      this.relays.onLost(tx);
    }
    for (const one of [...this.links.values()]) if (one.connection === connection) this.#forgetLink(one);
    for (const lnkConn of [...connection.lnkConns]) this.#forgetLnkConn(lnkConn, connection);
  }

  /** A circuit peer has one. */
  openLnkConn(connection: ModelConnection): void {
    const { dialect } = connection;
    if (dialect === 'circuit' && connection.lnkConns.size > 0) return;
    const payload = Buffer.alloc(lnkConnBytes(dialect));
    const peer = ++this.#peerCount + this.name.charCodeAt(0) * 1_000_000;
    const asks = { clusterId: uuid(1), peerMaskLo: 0xffffffff, peerMaskHi: 0xffffffff, peerType: 1 };
    const rest = { pfsType: 0, protoVersion: 1, status: 0, label: `p${peer}` };
    encodeLnkConn({ dialect, mediaId: uuid(peer), ...asks, ...rest }, payload, 0);
    const lnkConn = new LnkConn(this.tables.nextNumber(), connection.peer, {} as never, payload);
    this.tables.lnkConns.set(lnkConn.id, lnkConn);
    connection.peer.lnkConns.add(lnkConn);
    this.reports.tell('lnkConnsOpened', { id: lnkConn.id, connection: connection.peer.id, payload });
  }

  closeLnkConn(lnkConn: LnkConn): void {
    const connection = this.connections.get(lnkConn.peer.id);
    if (connection !== undefined) this.#forgetLnkConn(lnkConn, connection);
    this.reports.tell('lnkConnsClosed', lnkConn.id);
  }

  openLink(connection: ModelConnection, node: number, dist: number): void {
    const id = this.tables.nextNumber();
    const source = new RelaySource('', id, connection.dialect, spanPayload(connection.dialect, node, dist));
    const stamp = this.tables.nextStamp(1000);
    const tx = { msgidLo: id, msgidHi: 5 } as never as Transaction;
    const link = new Link(id, connection.peer, tx, source, { stamp, sinceUs: stamp });
    source.local = link;
    this.tables.links.set(id, link);
    this.links.set(id, { link, connection, node, dist });
    this.reports.linkOpened(link);
  }

  closeLink(one: ModelLink): void {
    this.#forgetLink(one);
    this.reports.tell('linksClosed', one.link.id);
  }

  /** Relays that are open on the wire. */
  wire(): Relay[] {
    const all: Relay[] = [];
    for (const { open } of this.connections.values()) {
      for (const { data } of open) if (data instanceof Relay) all.push(data);
    }
    return all;
  }

  /** Transactions that are open on the wire and belong to no object. */
  get strays(): number {
    let strays = 0;
    for (const { open } of this.connections.values())
      for (const { data } of open) if (!(data instanceof Relay)) strays++;
    return strays;
  }

  /** The peer closes a relay. */
  refuse({ tx }: Relay): void {
    if (tx !== null) this.relays.onMessage(tx, { cmd: (DELETE | LNK_ERROR) >>> 0 } as never);
  }

  /**
   * A message has come that names this link, of this gateway or of another one, as its source: a return path to it is
   * opened on the connection.
   */
  useBack(owner: ModelGateway, { link }: ModelLink, connection: ModelConnection): void {
    const { dialect, payload } = link.source;
    const source = owner === this ? link.source : this.tables.learnRemote(owner.id, link.id, dialect, payload);
    const relay = this.relays.returnPath(source, connection.peer);
    if (relay === null) {
      if (owner !== this && !source.leaderKnows && !source.isInUse) this.tables.forgetRemote(source);
      return;
    }
    relay.use = { isReturnPath: true } as never;
    this.backs.push(relay);
  }

  /** A return path is not used any more. */
  releaseBack(index: number): void {
    const [relay] = this.backs.splice(index % this.backs.length, 1);
    if (relay === undefined || relay.closed || this.backs.includes(relay)) return;
    relay.use = { isReturnPath: false } as never;
    if (!relay.wanted) this.relays.closeUnused(relay);
  }

  /** The peer does not read for a while, or reads again. */
  press(connection: ModelConnection, isMuch: boolean): void {
    connection.queuedBytes = isMuch ? MUCH_BYTES : 0;
    if (!isMuch && connection.peer.waitingRelays.length > 0) this.relays.resume(connection.peer);
  }

  reach(other: string, reachable: boolean): void {
    if (reachable) this.unreachable.delete(other);
    else this.unreachable.add(other);
    this.reports.trunks(() => this.#trunks());
  }

  trunk(other: string, established: boolean): void {
    if (established) this.established.add(other);
    else this.established.delete(other);
    this.reports.trunks(() => this.#trunks());
  }

  /** The turn ends: what has changed goes on its way. */
  flush(): void {
    this.#cut();
    if (!this.live) return;
    const parts = this.reports.take(PART_BYTES);
    if (parts.length === 0 && this.#obeyed === this.#obeyedTold) return;
    for (const delta of this.#finished(parts)) this.#up.push({ delta });
  }

  connect(leader: FakeLeader): void {
    this.disconnect();
    this.leader = leader;
    this.stream = new FakeStream();
    this.#read = 0;
    leader.core.control.attach(this.stream);
    const { name, boot } = this;
    const about = { version: '1', protocolVersion: 1, serviceAddress: `${name}:1`, capabilities: ['drain'] };
    const gatewaysKnown = [...new Set([...this.peers, ...this.established, ...this.tables.remoteLinks.keys()])];
    const hello = { name, boot, highestEpoch: this.#epoch, ...about, installation: 'spanmesh', gatewaysKnown };
    this.#up.push({ hello });
  }

  disconnect(): void {
    this.stream?.break();
    this.stream = undefined;
    this.live = false;
    this.#cutting = null;
    this.#up = [];
    this.reports.end();
  }

  /** Everything that the leader has sent has been read, and answered. */
  get hasReadAll(): boolean {
    if (this.#cutting !== null) return false;
    return this.stream === undefined || this.stream.sent.length === this.#read;
  }

  /** The oldest message reaches the leader. */
  deliverUp(): boolean {
    const message = this.#up.shift();
    if (message === undefined || this.stream === undefined) return false;
    this.stream.deliver(message);
    return true;
  }

  /** The oldest message of the leader reaches the gateway. */
  deliverDown(): boolean {
    const response = this.stream?.sent[this.#read];
    if (response === undefined) return false;
    this.#read++;
    this.#take(response);
    return true;
  }

  #take({ welcome, commands, refused }: AttachResponse): void {
    if (refused?.reason === RefusalReason.REFUSAL_REASON_DECLARED_DEAD) this.#rename();
    if (commands !== undefined && this.live && commands.epoch === this.#epoch) {
      this.#obey(Commands.decode(Commands.encode(commands).finish()));
    }
    if (welcome === undefined) return;
    if (welcome.epoch < this.#epoch) {
      this.disconnect();
      return;
    }
    if (welcome.epoch > this.#epoch) this.#obeyed = 0;
    this.#epoch = welcome.epoch;
    const parts = new StateChangeParts(PART_BYTES);
    parts.trunks(this.#trunks());
    const { lastNumber } = this.tables;
    this.#cutting = { parts, lastNumber, job: cutSnapshot(this.tables, parts, 1) };
    this.reports.begin();
  }

  /** Makes the part of the snapshot that is made in one turn: one unit of work. */
  #cut(): void {
    if (this.#cutting === null) return;
    const { job, parts, lastNumber } = this.#cutting;
    if (job.next().done !== true) return;
    this.#cutting = null;
    this.live = true;
    this.reports.cut();
    for (const snapshot of this.#finished(parts.all, lastNumber)) this.#up.push({ snapshot });
    this.#up.push({ snapshotEnd: {} });
  }

  #obey(commands: Commands): void {
    for (const gone of commands.gatewaysGone) {
      this.peers.delete(gone);
      const wasTrunk = this.established.delete(gone);
      if (this.unreachable.delete(gone) || wasTrunk) this.reports.trunks(() => this.#trunks());
      runNow(this.#runner.forgettingGateway(gone));
    }
    for (const { gateway } of commands.gateways) this.peers.add(gateway);
    runNow(this.#runner.running(commands));
    this.#obeyed = commands.n;
  }

  /**
   * The gateway was declared dead and continues under another id. Its trunks belonged to the former id, so they are
   * gone.
   */
  #rename(): void {
    const before = this.id;
    this.boot = ((Number.parseInt(this.boot, 16) + 0x100000) >>> 0).toString(16).padStart(8, '0');
    this.established.clear();
    this.#obeyed = 0;
    this.onRenamed(before);
  }

  #trunks(): GatewayTrunks {
    return { established: [...this.established], unreachable: [...this.unreachable] };
  }

  /** The parts as they arrive at the leader; the last one has the fields that only a last part has. */
  #finished(parts: StateChange[], lastNumber = this.tables.lastNumber): StateChange[] {
    const all = parts.length === 0 ? [StateChange.create()] : parts;
    const last = all.at(-1);
    if (last !== undefined) {
      last.obeyed = this.#obeyed;
      last.lastNumber = lastNumber;
    }
    this.#obeyedTold = this.#obeyed;
    return all.map((part) => StateChange.decode(StateChange.encode(part).finish()));
  }

  #forgetLink({ link }: ModelLink): void {
    link.closed();
    this.tables.links.delete(link.id);
    this.links.delete(link.id);
    runNow(this.relays.closingAllOf(link.source));
    link.source.local = null;
  }

  #forgetLnkConn(lnkConn: LnkConn, connection: ModelConnection): void {
    lnkConn.closed();
    runNow(this.relays.closingAllOn(lnkConn));
    this.tables.lnkConns.delete(lnkConn.id);
    connection.peer.lnkConns.delete(lnkConn);
  }
}
