import { apiDialect } from '@spanmesh/proto/dialect';
import { gatewayId, splitId } from '@spanmesh/proto/gateway-id';
import {
  type AttachRequest,
  type CloseConnection,
  type Commands,
  type DrainOrder,
  type DrainProgress,
  type GatewayTrunks,
  RefusalReason,
  type RelaySet,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import { type ClusterKey, ConnectionOrigin } from '@spanmesh/proto/v1/types';
import type { Dialect } from '@spanmesh/spantree/tree';
import type { FakeLeader } from './fake-leader.fixture.ts';
import { FakeStream } from './fake-stream.fixture.ts';
import { lnkConnPayload, spanPayload } from './payloads.fixture.ts';

export interface FakeLink {
  readonly id: number;
  readonly connection: number;
  readonly dialect: Dialect;
  readonly node: number;
  readonly dist: number;
  readonly stamp: number;
}

interface FakeConnection {
  readonly id: number;
  readonly dialect: Dialect;
  readonly remote: string;
  suspect: boolean;
}

interface FakeLnkConn {
  readonly id: number;
  readonly connection: number;
  readonly dialect: Dialect;
  readonly identity: number;
}

/** A link-gateway as topology sees it: it obeys commands, remembers refusals, and sends snapshots. */
export class FakeGateway {
  readonly name: string;
  boot: string;
  id: string;
  capabilities: string[] = ['drain'];
  highestEpoch = 0;
  readonly connections = new Map<number, FakeConnection>();
  readonly lnkConns = new Map<number, FakeLnkConn>();
  readonly links = new Map<number, FakeLink>();
  /** Open relays by pair (pairName), with the number of the command that opened each. */
  readonly relays = new Map<string, number>();
  readonly refused = new Set<string>();
  readonly onDemand = new Set<string>();
  readonly unreachable = new Set<string>();
  /** Ids of the gateways that it has trunks to. */
  readonly established = new Set<string>();
  held: ClusterKey[] = [];
  withheld: readonly string[] = [];
  /** `<gateway>:<number>` of links of others that it knows, by Commands or by itself. */
  readonly remote = new Set<string>();
  /**
   * The other gateways that it was told of, in order, without those that are gone; and those that it was told are gone.
   */
  peers: string[] = [];
  readonly gone: string[] = [];
  replicas: readonly string[] = [];
  installation = 'spanmesh';
  /** Gateways that Hello names in addition to `peers`. */
  named: string[] = [];
  probed: number[] = [];
  /** Orders of drains and closes as received; `drains`: the progress that it reports. */
  readonly ordered: DrainOrder[] = [];
  readonly closing: CloseConnection[] = [];
  readonly drains = new Map<string, DrainProgress>();
  stream: FakeStream | undefined;
  /** Messages that the leader has not received yet. */
  up: Partial<AttachRequest>[] = [];
  /** Index in stream.sent of the next message to read. */
  #read = 0;
  #delta = StateChange.create();
  #obeyed = 0;
  #number = 0;
  #stamp = 1_000_000;
  live = false;
  commandCount = 0;
  opens = 0;
  closes = 0;
  /** Commands to open a relay that was open, or to close one that was not. */
  needless = 0;

  constructor(name: string, boot = '00000001') {
    this.name = name;
    this.boot = boot;
    this.id = gatewayId(this);
  }

  openConnection(dialect: Dialect = 'circuit', remote = `192.0.2.1:${1000 + this.#number}`): number {
    const id = ++this.#number;
    this.connections.set(id, { id, dialect, remote, suspect: false });
    this.#delta.connectionsOpened.push(this.#connectionOpened(id));
    return id;
  }

  /** `identity`: LNK_CONNs with the same identity and remote address look like the same peer. */
  openLnkConn(connection: number, identity = this.name.charCodeAt(0) * 1_000_000 + this.#number): number {
    const id = ++this.#number;
    const { dialect } = this.connections.get(connection)!;
    this.lnkConns.set(id, { id, connection, dialect, identity });
    this.#delta.lnkConnsOpened.push(this.#lnkConnOpened(id));
    return id;
  }

  openLink(connection: number, node: number, dist = 0): number {
    const id = ++this.#number;
    const { dialect } = this.connections.get(connection)!;
    this.links.set(id, { id, connection, dialect, node, dist, stamp: ++this.#stamp });
    this.#delta.linksOpened.push(this.#linkOpened(id));
    return id;
  }

  closeLink(id: number): void {
    this.#forgetLink(id);
    this.#delta.linksClosed.push(id);
  }

  closeLnkConn(id: number): void {
    this.#forgetLnkConn(id);
    this.#delta.lnkConnsClosed.push(id);
  }

  closeConnection(id: number): void {
    for (const link of [...this.links.values()]) if (link.connection === id) this.#forgetLink(link.id);
    for (const lnkConn of [...this.lnkConns.values()]) if (lnkConn.connection === id) this.#forgetLnkConn(lnkConn.id);
    this.connections.delete(id);
    this.#delta.connectionsClosed.push(id);
  }

  /** Lets the peer close a relay. */
  refuse(pair: string): void {
    const n = this.relays.get(pair)!;
    this.relays.delete(pair);
    this.refused.add(pair);
    const { gateway, link, lnkConn } = parsePair(pair);
    this.#delta.refusals.push({ lnkConn, linkGateway: gateway === this.id ? '' : gateway, link, n });
  }

  /** Reports the progress of a drain. */
  progress(progress: DrainProgress): void {
    this.drains.set(progress.order, progress);
    this.#delta.drains.push(progress);
  }

  /** Reports that it is going to stop. */
  stops(): void {
    this.#delta.stopping = true;
  }

  status(link: number, status: number): void {
    this.#delta.linkStatuses.push({ link, status });
  }

  alive(connection: number): void {
    this.connections.get(connection)!.suspect = false;
    this.#delta.connectionsAlive.push(connection);
  }

  reach(gateway: string, reachable: boolean): void {
    if (reachable) this.unreachable.delete(gateway);
    else this.unreachable.add(gateway);
    this.#delta.trunks = this.#trunks();
  }

  /** Sets all principals whose links at other gateways this gateway does not relay. */
  withhold(principals: readonly string[]): void {
    this.withheld = principals;
    this.#delta.withheld = { principals: [...principals] };
  }

  /** A trunk to the other one is established, or is lost. */
  trunk(gateway: string, established: boolean): void {
    if (established) this.established.add(gateway);
    else this.established.delete(gateway);
    this.#delta.trunks = this.#trunks();
  }

  hold(key: ClusterKey): void {
    this.held.push(key);
    this.#delta.clustersHeld.push(key);
  }

  release(key: ClusterKey): void {
    this.held = this.held.filter((one) => one !== key);
    this.#delta.clustersReleased.push(key);
  }

  openOnDemand(pair: string): void {
    this.onDemand.add(pair);
    this.#tellOnDemand(pair);
    const { gateway, link } = parsePair(pair);
    const name = `${gateway}:${link}`;
    if (gateway === this.id || this.remote.has(name)) return;
    this.remote.add(name);
    this.#delta.linksKnown.push({ gateway, link });
  }

  closeOnDemand(pair: string): void {
    this.onDemand.delete(pair);
    this.#tellOnDemand(pair);
  }

  /** Ends the turn: puts the changes on their way as a delta. */
  flush(): void {
    const delta = this.#delta;
    this.#delta = StateChange.create();
    delta.obeyed = this.#obeyed;
    delta.lastNumber = this.#number;
    if (this.live) this.up.push({ delta: StateChange.decode(StateChange.encode(delta).finish()) });
  }

  connect(leader: FakeLeader): FakeStream {
    this.disconnect();
    const stream = new FakeStream();
    this.stream = stream;
    this.#read = 0;
    leader.core.control.attach(stream);
    const { name, boot, highestEpoch, capabilities, installation } = this;
    const known = { version: '1.0.0', protocolVersion: 1, serviceAddress: `${name}:1` };
    const hello = {
      name,
      boot,
      highestEpoch,
      ...known,
      capabilities,
      installation,
      gatewaysKnown: this.#gatewaysKnown(),
    };
    this.up.push({ hello });
    return stream;
  }

  disconnect(): void {
    this.stream?.break();
    this.stream = undefined;
    this.live = false;
    this.up = [];
  }

  /** How many messages of the leader have been read. */
  get read(): number {
    return this.#read;
  }

  /** Delivers the oldest message to the leader. */
  deliverUp(): boolean {
    if (this.stream?.paused === true) return false;
    const message = this.up.shift();
    if (message === undefined || this.stream === undefined) return false;
    this.stream.deliver(message);
    return true;
  }

  /** Delivers the leader's oldest message to the gateway. */
  deliverDown(): boolean {
    const response = this.stream?.sent[this.#read];
    if (response === undefined) return false;
    this.#read++;
    if (response.welcome !== undefined) {
      if (response.welcome.epoch > this.highestEpoch) this.#obeyed = 0;
      this.highestEpoch = response.welcome.epoch;
      this.replicas = response.welcome.replicas;
      this.live = true;
      this.#delta = StateChange.create();
      for (const pair of this.relays.keys()) this.relays.set(pair, 0);
      this.up.push({ snapshot: this.snapshot() }, { snapshotEnd: {} });
    } else if (response.commands !== undefined && response.commands.epoch === this.highestEpoch) {
      this.apply(response.commands);
    } else if (response.refused?.reason === RefusalReason.REFUSAL_REASON_DECLARED_DEAD) this.rename();
    return true;
  }

  /** The gateway was declared dead, and continues under another boot id with all its objects. */
  rename(): void {
    const before = this.id;
    this.boot = ((Number.parseInt(this.boot, 16) + 0x10000000) >>> 0).toString(16).padStart(8, '0');
    this.id = gatewayId(this);
    for (const pairs of [this.relays, this.refused, this.onDemand]) {
      for (const pair of [...pairs.keys()]) {
        if (!pair.startsWith(`${before}:`)) continue;
        const renamed = `${this.id}${pair.slice(before.length)}`;
        if (pairs instanceof Map) pairs.set(renamed, pairs.get(pair) ?? 0);
        else pairs.add(renamed);
        pairs.delete(pair);
      }
    }
    this.established.clear();
  }

  apply(commands: Commands): void {
    this.commandCount++;
    for (const { gateway } of commands.gateways) if (!this.peers.includes(gateway)) this.peers.push(gateway);
    this.peers.sort();
    for (const gateway of commands.gatewaysGone) this.#forgetGateway(gateway);
    if (commands.replicas.length > 0) this.replicas = commands.replicas;
    for (const { gateway, link } of commands.links) this.remote.add(`${gateway}:${link}`);
    for (const { gateway, link } of commands.linksGone) {
      this.remote.delete(`${gateway}:${link}`);
      this.#dropRelaysOf(gateway, link);
    }
    for (const { gateway, link, open, close } of commands.relays) {
      const owner = gateway === '' ? this.id : gateway;
      const known = gateway === '' ? this.links.has(link) : this.remote.has(`${gateway}:${link}`);
      if (!known) continue;
      for (const lnkConn of open) {
        if (!this.lnkConns.has(lnkConn)) continue;
        const pair = pairName(owner, link, lnkConn);
        this.opens++;
        if (this.relays.has(pair)) this.needless++;
        if (this.onDemand.has(pair)) this.closeOnDemand(pair);
        this.relays.set(pair, commands.n);
        this.refused.delete(pair);
      }
      for (const lnkConn of close) {
        if (!this.lnkConns.has(lnkConn)) continue;
        const pair = pairName(owner, link, lnkConn);
        this.closes++;
        this.relays.delete(pair);
        this.refused.delete(pair);
      }
    }
    for (const id of commands.probe) {
      this.probed.push(id);
      const connection = this.connections.get(id);
      if (connection !== undefined) connection.suspect = true;
    }
    for (const order of commands.drains) {
      this.ordered.push(order);
      const known = this.drains.get(order.order);
      const chosen = Math.round((this.connections.size * order.sharePermille) / 1000);
      this.progress(known ?? { order: order.order, chosen, closed: 0, cut: 0, done: chosen === 0 });
    }
    for (const close of commands.close) {
      this.closing.push(close);
      this.#delta.connectionsClosing.push({ id: close.connection, reason: close.reason });
    }
    this.#obeyed = commands.n;
  }

  snapshot(): StateChange {
    const all = StateChange.create();
    for (const id of this.connections.keys()) all.connectionsOpened.push(this.#connectionOpened(id));
    for (const id of this.lnkConns.keys()) all.lnkConnsOpened.push(this.#lnkConnOpened(id));
    for (const id of this.links.keys()) all.linksOpened.push(this.#linkOpened(id));
    for (const pair of this.relays.keys()) all.relaysOpen.push(this.#set(pair));
    for (const pair of this.onDemand) all.onDemandOpened.push(this.#set(pair));
    for (const pair of this.refused) {
      const { linkGateway, link, lnkConns } = this.#set(pair);
      all.refusals.push({ lnkConn: lnkConns[0]!, linkGateway, link, n: 0 });
    }
    all.trunks = this.#trunks();
    if (this.withheld.length > 0) all.withheld = { principals: [...this.withheld] };
    for (const name of this.remote) all.linksKnown.push(linkRef(name));
    all.obeyed = this.#obeyed;
    all.lastNumber = this.#number;
    all.clustersHeld = [...this.held];
    all.drains = [...this.drains.values()];
    return all;
  }

  /** A link of another gateway is lost, which that gateway has reported over the trunk. */
  dropRemote(gateway: string, link: number): void {
    this.remote.delete(`${gateway}:${link}`);
    this.#dropRelaysOf(gateway, link);
  }

  #gatewaysKnown(): string[] {
    const known = new Set([...this.peers, ...this.established, ...this.named]);
    for (const name of this.remote) known.add(linkRef(name).gateway);
    return [...known];
  }

  #trunks(): GatewayTrunks {
    return { established: [...this.established], unreachable: [...this.unreachable] };
  }

  /** Puts a pair into the delta, which names each pair once, with its last state. */
  #tellOnDemand(pair: string): void {
    const is = ({ linkGateway, link, lnkConns }: RelaySet) =>
      pairName(linkGateway === '' ? this.id : linkGateway, link, lnkConns[0]!) === pair;
    const delta = this.#delta;
    delta.onDemandOpened = delta.onDemandOpened.filter((set) => !is(set));
    delta.onDemandClosed = delta.onDemandClosed.filter((set) => !is(set));
    (this.onDemand.has(pair) ? delta.onDemandOpened : delta.onDemandClosed).push(this.#set(pair));
  }

  #forgetGateway(gateway: string): void {
    this.gone.push(gateway);
    this.peers = this.peers.filter((peer) => peer !== gateway);
    const trunks = this.established.delete(gateway);
    if (this.unreachable.delete(gateway) || trunks) this.#delta.trunks = this.#trunks();
    for (const name of [...this.remote]) if (name.startsWith(`${gateway}:`)) this.remote.delete(name);
    for (const pairs of [this.relays, this.refused, this.onDemand]) {
      for (const pair of [...pairs.keys()]) if (pair.startsWith(`${gateway}:`)) pairs.delete(pair);
    }
  }

  #set(pair: string): RelaySet {
    const { gateway, link, lnkConn } = parsePair(pair);
    return { linkGateway: gateway === this.id ? '' : gateway, link, lnkConns: [lnkConn] };
  }

  #forgetLink(id: number): void {
    this.links.delete(id);
    this.#dropRelaysOf(this.id, id);
  }

  #dropRelaysOf(gateway: string, link: number): void {
    for (const pairs of [this.relays, this.refused, this.onDemand]) {
      for (const pair of [...pairs.keys()]) if (pair.startsWith(`${gateway}:${link}>`)) pairs.delete(pair);
    }
  }

  #forgetLnkConn(id: number): void {
    this.lnkConns.delete(id);
    for (const pairs of [this.relays, this.refused, this.onDemand]) {
      for (const pair of [...pairs.keys()]) if (pair.endsWith(`>${id}`)) pairs.delete(pair);
    }
  }

  #connectionOpened(id: number): StateChange['connectionsOpened'][number] {
    const { dialect, remote, suspect } = this.connections.get(id)!;
    return {
      id,
      closing: '',
      dialect: apiDialect(dialect),
      remoteAddress: remote,
      localAddress: '192.0.2.9:987',
      origin: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
      owner: '',
      generation: 0,
      sinceUs: 1_600_000_000_000_000 + id,
      suspect,
      principal: remote.slice(0, remote.lastIndexOf(':')),
    };
  }

  #lnkConnOpened(id: number): StateChange['lnkConnsOpened'][number] {
    const { connection, dialect, identity } = this.lnkConns.get(id)!;
    return { id, connection, payload: lnkConnPayload(dialect, identity) };
  }

  #linkOpened(id: number): StateChange['linksOpened'][number] {
    const { connection, dialect, node, dist, stamp } = this.links.get(id)!;
    return {
      id,
      connection,
      payload: spanPayload(dialect, node, dist),
      stamp,
      msgidLo: id,
      msgidHi: 0xfffff800,
      sinceUs: stamp,
    };
  }
}

function linkRef(name: string): { gateway: string; link: number } {
  const { gateway, number: link } = splitId(name);
  return { gateway, link };
}

export function pairName(gateway: string, link: number, lnkConn: number): string {
  return `${gateway}:${link}>${lnkConn}`;
}

export function parsePair(pair: string): { gateway: string; link: number; lnkConn: number } {
  const [, gateway, link, lnkConn] = /^(.*):([0-9]+)>([0-9]+)$/.exec(pair)!;
  return { gateway: gateway!, link: Number(link), lnkConn: Number(lnkConn) };
}
