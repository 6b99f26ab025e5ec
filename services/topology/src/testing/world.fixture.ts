import { EventEmitter } from 'node:events';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { encodeLnkSpan, LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { apiDialect } from '@spanmesh/proto/dialect';
import { gatewayId, nameOf, splitId } from '@spanmesh/proto/gateway-id';
import {
  type AttachRequest,
  type AttachResponse,
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
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import { type Living, type Missed, SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import { createLogger } from '@spanmesh/runtime/log/logger';
import type { Dialect } from '@spanmesh/spantree/tree';
import type { LeaseView } from '../attach/leadership.ts';
import type { Presence } from '../attach/presence.ts';
import { Core, type CoreOptions, type Following } from '../core.ts';

export const uuid = (n: number): string => `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`;

/** The leader's end of a stream, in memory; the gateway's end are `sent` and `deliver`. */
export class FakeStream extends EventEmitter {
  readonly sent: AttachResponse[] = [];
  /** Deltas that have been taken in, as the leader has told last: nothing that a gateway has to read in order. */
  taken = 0;
  cancelled = false;
  /** What write answers. */
  accepts = true;
  error: (Error & { code?: number; details?: string }) | undefined;
  ended = false;
  paused = false;

  constructor() {
    super();
    this.on('error', (error) => {
      this.error = error;
    });
  }

  write(response: AttachResponse): boolean {
    if (response.taken === undefined) this.sent.push(response);
    else this.taken = response.taken.deltas;
    return this.accepts;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  get over(): boolean {
    return this.ended || this.error !== undefined;
  }

  deliver(request: Partial<AttachRequest>): void {
    this.emit('data', request);
  }

  drain(): void {
    this.accepts = true;
    this.emit('drain');
  }

  /** The connection below it is lost. */
  break(): void {
    this.cancelled = true;
    this.emit('cancelled');
  }
}

export class FakeLease implements LeaseView {
  readonly id: string = 'me';
  epoch = 1;
  valid = true;
  ageMs = 0;
  frozenSince: number | null = null;
  raises: number[] = [];
  /** For how long it was stepped down from, each time. */
  readonly stepsDown: number[] = [];
  onRaise: () => void = () => {};

  isValid(): boolean {
    return this.valid;
  }

  get holderId(): string {
    return this.valid ? 'me' : 'other';
  }

  holder() {
    return this.valid ? { address: 'me:1', epoch: this.epoch } : { address: 'other:1', epoch: this.epoch };
  }

  stepDown(ms: number): void {
    this.stepsDown.push(ms);
  }

  raiseEpoch(atLeast: number): Promise<void> {
    this.raises.push(atLeast);
    this.epoch = Math.max(this.epoch, atLeast);
    this.onRaise();
    return Promise.resolve();
  }
}

/** Those who are in the registry, and who gives signs of life: at all times while it is in `alive`. */
export class FakePresence implements Presence {
  readonly records = new Map<string, GatewayRecord>();
  readonly alive = new Set<string>();
  /** When the last sign of those came that are not alive any more. */
  readonly signs = new Map<string, number>();
  /** Service ports of topology replicas that give signs of life. */
  readonly replicas: string[] = [];
  /** Other processes that were there and give no sign of life any more. */
  readonly silent: Missed[] = [];
  isComplete = true;
  /** Since when signs of anybody have come, on the clock of the leader; null: none comes. */
  flowingSince: number | null = 0;
  clock = new FakeClock();
  /** Told when the registry has changed. */
  readonly listeners: (() => void)[] = [];

  gateways(): GatewayRecord[] {
    return [...this.records.values()];
  }

  get(name: string): GatewayRecord | null {
    return this.records.get(name) ?? null;
  }

  remove(name: string, boot: string): void {
    if (this.records.get(name)?.boot !== boot) return;
    this.records.delete(name);
    this.#changed();
  }

  lastSign(id: string): number | undefined {
    return this.alive.has(id) ? this.clock.now() : this.signs.get(id);
  }

  living(kind: Living['kind']): Living[] {
    if (kind === 'topology') return this.replicas.map((name) => ({ kind, id: name, name }));
    return [...this.alive].map((id) => ({ kind, id, name: nameOf(id) }));
  }

  missed(): Missed[] {
    const silent = [...this.signs].filter(([id, at]) => !this.alive.has(id) && this.clock.now() - at >= SILENT_MS);
    const gateways = silent.map(([id, since]) => ({ kind: 'link-gateway', id, name: nameOf(id), since }) as const);
    return [...this.silent, ...gateways];
  }

  /** The gateway joins, and gives signs of life from now on. */
  put(name: string, boot: string): void {
    this.records.set(name, {
      name,
      boot,
      firstBoot: boot,
      serviceAddress: `${name}:1`,
      version: '1.0.0',
      draining: false,
    });
    this.alive.add(gatewayId({ name, boot }));
    this.#changed();
  }

  /** It gives no sign of life any more. */
  silence(name: string): void {
    const record = this.records.get(name);
    if (record !== undefined) this.signsEnd(gatewayId(record));
  }

  /** Whether it is in the registry or not. */
  signsEnd(id: string): void {
    if (this.alive.delete(id)) this.signs.set(id, this.clock.now());
  }

  #changed(): void {
    for (const changed of this.listeners) changed();
  }
}

/** A leader with a lease and a registry that tests hold in their hands, and, if they say so, the turns of its work. */
export class FakeLeader {
  /** Turns of the event loop that it waits for: only if `unitsPerTurn` is given. */
  readonly turns: (() => void)[] = [];
  readonly lease = new FakeLease();
  readonly presence: FakePresence;
  readonly clock: FakeClock;
  readonly core: Core;

  constructor({
    epoch = 1,
    presence = new FakePresence(),
    clock = new FakeClock(),
    following,
    leads = true,
    unitsPerTurn = Number.POSITIVE_INFINITY,
    ...options
  }: Partial<CoreOptions> & {
    epoch?: number;
    presence?: FakePresence;
    clock?: FakeClock;
    following?: Following;
    leads?: boolean;
  } = {}) {
    this.presence = presence;
    this.clock = clock;
    presence.clock = clock;
    this.lease.epoch = epoch;
    this.core = new Core(
      {
        installation: 'spanmesh',
        linkidWidth: 2,
        circuitWidth: 1,
        rnssAdd: 7,
        version: '1.0.0',
        address: () => 'me:1',
        unitsPerTurn,
        ...options,
      },
      {
        lease: this.lease,
        presence,
        clock,
        logger: createLogger({ level: 'silent', service: 'test' }),
        later: (turn) => this.turns.push(turn),
        ...(following && { following }),
      },
    );
    this.lease.onRaise = () => this.lead();
    presence.listeners.push(() => this.core.term.presenceChanged());
    if (leads) this.lead();
  }

  /** A turn passes that its work waits for, if it does. */
  turn(): void {
    this.turns.shift()?.();
  }

  /** All of them pass. */
  finish(): void {
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) turn();
  }

  lead(): void {
    this.lease.valid = true;
    this.lease.frozenSince = null;
    this.core.term.leaseChanged({ kind: 'leading', epoch: this.lease.epoch });
  }

  freeze(): void {
    this.lease.valid = false;
    this.lease.frozenSince = this.clock.now();
    this.core.term.leaseChanged({ kind: 'frozen', epoch: this.lease.epoch });
  }

  lose(): void {
    this.lease.valid = false;
    this.core.term.leaseChanged({ kind: 'standby', holder: { address: 'other:1', epoch: this.lease.epoch + 1 } });
  }
}

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

/** A link-gateway as topology sees it: opens and closes what it is told to, remembers refusals, cuts snapshots. */
export class FakeGateway {
  readonly name: string;
  boot: string;
  id: string;
  capabilities: string[] = ['drain'];
  highestEpoch = 0;
  readonly connections = new Map<number, FakeConnection>();
  readonly lnkConns = new Map<number, FakeLnkConn>();
  readonly links = new Map<number, FakeLink>();
  /** Names of pairs (pairName) → n of the command. */
  readonly relays = new Map<string, number>();
  readonly refused = new Set<string>();
  readonly onDemand = new Set<string>();
  readonly unreachable = new Set<string>();
  /** Gateways that it has trunks to. */
  readonly established = new Set<string>();
  held: ClusterKey[] = [];
  /** `<gateway>:<number>` of links of others that it knows, by Commands or by itself. */
  readonly remote = new Set<string>();
  /** Other gateways that it was told of and that are not gone, in order; and those that it was told are gone. */
  peers: string[] = [];
  readonly gone: string[] = [];
  replicas: readonly string[] = [];
  installation = 'spanmesh';
  /** Said in Hello besides those that it was told of. */
  named: string[] = [];
  probed: number[] = [];
  /** Orders of drains and closes as they came; `drains`: what it says of them. */
  readonly ordered: DrainOrder[] = [];
  readonly closing: CloseConnection[] = [];
  readonly drains = new Map<string, DrainProgress>();
  stream: FakeStream | undefined;
  /** What has not reached the leader yet. */
  up: Partial<AttachRequest>[] = [];
  /** Read position in stream.sent. */
  #read = 0;
  #delta = StateChange.create();
  #obeyed = 0;
  #number = 0;
  #stamp = 1_000_000;
  live = false;
  commandCount = 0;
  opens = 0;
  closes = 0;
  /** Opens of what was open, closes of what was not. */
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

  /** `identity`: LNK_CONNs of the same one (and remote address) look like the same peer. */
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

  /** The peer closes a relay. */
  refuse(pair: string): void {
    const n = this.relays.get(pair)!;
    this.relays.delete(pair);
    this.refused.add(pair);
    const { gateway, link, lnkConn } = parsePair(pair);
    this.#delta.refusals.push({ lnkConn, linkGateway: gateway === this.id ? '' : gateway, link, n });
  }

  /** A drain has got on. */
  progress(progress: DrainProgress): void {
    this.drains.set(progress.order, progress);
    this.#delta.drains.push(progress);
  }

  /** It begins to stop. */
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

  /** The turn ends: what has changed goes on its way. */
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

  /** Messages of the leader that have been read. */
  get read(): number {
    return this.#read;
  }

  /** The oldest message reaches the leader. */
  deliverUp(): boolean {
    if (this.stream?.paused === true) return false;
    const message = this.up.shift();
    if (message === undefined || this.stream === undefined) return false;
    this.stream.deliver(message);
    return true;
  }

  /** The oldest message of the leader reaches the gateway. */
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

  /** It was declared dead: it goes on under another boot id, and keeps what it has. */
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
    for (const name of this.remote) all.linksKnown.push(linkRef(name));
    all.obeyed = this.#obeyed;
    all.lastNumber = this.#number;
    all.clustersHeld = [...this.held];
    all.drains = [...this.drains.values()];
    return all;
  }

  /** A link of another gateway is lost, and that gateway has told us on the trunk. */
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

  /** A pair is named once in a delta, with what became of it last. */
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
    const payload = Buffer.alloc(lnkConnBytes(dialect));
    encodeLnkConn(
      {
        dialect,
        mediaId: uuid(identity),
        clusterId: uuid(1),
        peerMaskLo: 0xffffffff,
        peerMaskHi: 0xffffffff,
        peerType: 1,
        pfsType: 0,
        protoVersion: 1,
        status: 0,
        label: `peer${identity}`,
      },
      payload,
      0,
    );
    return { id, connection, payload };
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

export function spanPayload(dialect: Dialect, node: number, dist: number): Buffer {
  const payload = Buffer.alloc(LNK_SPAN_BYTES);
  encodeLnkSpan(
    {
      dialect,
      clusterId: uuid(1),
      nodeId: uuid(node),
      pfsType: 4,
      peerType: 1,
      protoVersion: 1,
      status: 0,
      dist,
      rnss: 0,
      mediaBlksize: 0,
      peerLabel: dialect === 'circuit' ? 'cluster' : '',
      label: `node${node}`,
    },
    payload,
    0,
  );
  return payload;
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

/** Lets everything arrive, and gateways that lost their stream attach again, until nothing moves. */
export function settle(leader: FakeLeader, gateways: readonly FakeGateway[]): void {
  for (let round = 0; round < 1000; round++) {
    let moved = false;
    leader.finish();
    for (const gateway of gateways) {
      if (gateway.stream === undefined || gateway.stream.over) {
        gateway.connect(leader);
        moved = true;
      }
      gateway.flush();
      const silent = gateway.up.length === 1 && isEmpty(gateway.up[0]!);
      while (gateway.deliverUp()) if (!silent) moved = true;
      while (gateway.deliverDown()) moved = true;
    }
    leader.finish();
    leader.core.flush();
    leader.finish();
    if (!moved && gateways.every((gateway) => gateway.stream!.sent.length === gateway.read)) return;
  }
  throw new Error('never quiet');
}

function isEmpty({ delta }: Partial<AttachRequest>): boolean {
  if (delta === undefined) return false;
  return Object.values(delta).every((value) => !value || typeof value === 'number' || value.length === 0);
}

/**
 * What should be relayed where: the selection of architecture.md, worked out from scratch. The LNK_CONNs of this world accept
 * everything and nobody is suspect.
 */
export function naiveSelection(gateways: readonly FakeGateway[]): Map<string, Set<string>> {
  const all = gateways.flatMap((gateway) => [...gateway.links.values()].map((link) => ({ gateway, link })));
  const wanted = new Map<string, Set<string>>();
  for (const gateway of gateways) {
    const pairs = new Set<string>();
    wanted.set(gateway.id, pairs);
    for (const lnkConn of gateway.lnkConns.values()) {
      const links = all.filter(({ link }) => link.dialect === lnkConn.dialect);
      for (const node of new Set(links.map(({ link }) => link.node))) {
        const walk = links
          .filter((one) => one.link.node === node && !gateway.unreachable.has(one.gateway.id))
          .sort(
            (a, b) =>
              a.link.dist - b.link.dist ||
              a.link.stamp - b.link.stamp ||
              (a.gateway.id < b.gateway.id ? -1 : a.gateway.id > b.gateway.id ? 1 : a.link.id - b.link.id),
          );
        let left = lnkConn.dialect === 'linkid' ? 2 : 1;
        for (const one of walk) {
          const own = one.gateway === gateway && one.link.connection === lnkConn.connection;
          if (left-- === 0 || own || one.link.dist > 16) break;
          pairs.add(pairName(one.gateway.id, one.link.id, lnkConn.id));
        }
      }
    }
  }
  return wanted;
}

/** What the leader's tree holds for open on a gateway. */
export function treeRelays(leader: FakeLeader, gateway: FakeGateway): Set<string> {
  const pairs = new Set<string>();
  const { state } = leader.core;
  for (const lnkConn of state.gateways.get(gateway.id)?.lnkConns.values() ?? []) {
    for (const link of lnkConn.relays()) pairs.add(pairName(link.connection.gateway, link.id, lnkConn.id));
  }
  return pairs;
}
