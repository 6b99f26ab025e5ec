import type {
  DialledUp,
  DialRequest,
  DialResponse,
  HangupRequest,
  MediaLnkConn,
  SlotReceived,
} from '@spanmesh/proto/v1/dial';
import { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import type { FakeClock } from '@spanmesh/runtime/fake-clock';
import { type GatewayPort, type MediaSink, type MediaStream, OrderError } from '../gateways/gateway-port.ts';

/** How a host treats connections. */
export type Host = 'up' | 'refuses' | 'silent';

/**
 * Fate of one order on its way.
 *   ok        done and answered
 *   unheard   not done, the caller gives up
 *   unsaid    done, the answer is lost: the caller gives up
 *   late      the caller gives up, and it is done a second later
 */
export type Fate = 'ok' | 'unheard' | 'unsaid' | 'late';

/** An owner of a connection or an attempt at the gateway. */
interface Owner {
  epoch: number;
  generation: number;
  up: DialledUp | null;
  attempt: { readonly cancel: () => void } | null;
}

/** How long a caller waits for an answer, ms. */
const GIVE_UP_MS = 1500;

/**
 * A gateway that behaves as dial.proto says, without sockets: the test decides how hosts behave and what happens to
 * orders.
 */
export class FakeGateway {
  readonly name: string;
  boot: number;
  /** The boot id that its process began with. */
  firstBoot: number;
  /** How hosts behave; hosts that are not listed are up. */
  readonly hosts: Map<string, Host>;
  readonly lnkConns = new Map<number, { readonly conn: MediaLnkConn; readonly slots: Map<number, SlotReceived> }>();
  readonly owners = new Map<string, Owner>();
  /** Orders as received: `dial owner 1.2 host:port`, `hangup owner 1.2`. */
  readonly log: string[] = [];
  /** The fates of the next orders; after these all are `ok`. */
  fates: Fate[] = [];
  /** By how much its monotonic clock is ahead of ours, ms. */
  clockAhead = 0;
  /** How long connecting takes, ms. */
  dialMs = 5;
  epoch = 0;
  /** Makes the error with which it answers every call; null: it answers normally. */
  refusal: (() => OrderError) | null = null;
  /** No replica can reach it. */
  cut = false;
  /** Called when connections have changed. */
  onConnections: () => void = () => {};
  readonly #clock: FakeClock;
  #watches = new Set<MediaSink>();
  #number = 0;
  #stampUs = 0;

  constructor(name: string, { clock, hosts }: { clock: FakeClock; hosts: Map<string, Host> }) {
    this.name = name;
    this.boot = 1;
    this.firstBoot = 1;
    this.hosts = hosts;
    this.#clock = clock;
  }

  get id(): string {
    return `${this.name}.b${this.boot}`;
  }

  /** Identifies its process; its connections end with the process. */
  get process(): string {
    return `${this.name}.b${this.firstBoot}`;
  }

  /** Established connections: `owner host:port`. */
  get connections(): string[] {
    return [...this.owners.values()].flatMap(({ up }) => (up === null ? [] : [`${up.owner} ${up.host}:${up.port}`]));
  }

  get watches(): number {
    return this.#watches.size;
  }

  openConn(mediaId: string, dialect: MediaLnkConn['dialect'] = 1, principal = '127.0.0.1'): number {
    const lnkConn = ++this.#number;
    const openedUs = this.#clockUs();
    const conn = { lnkConn, mediaId, dialect, remoteAddress: `${principal}:1`, label: '', principal, openedUs };
    this.lnkConns.set(lnkConn, { conn, slots: new Map() });
    this.#tell({ opened: [conn] });
    return lnkConn;
  }

  closeConn(lnkConn: number): void {
    if (this.lnkConns.delete(lnkConn)) this.#tell({ closed: [lnkConn] });
  }

  volconf(lnkConn: number, index: number, copy: Uint8Array): void {
    this.#stampUs = Math.max(this.#stampUs + 0.1, this.#clockUs());
    const slot = { lnkConn, index, copy: Buffer.from(copy), receivedUs: this.#stampUs };
    this.lnkConns.get(lnkConn)?.slots.set(index, slot);
    this.#tell({ slots: [slot] });
  }

  /** The peer ends the owner's connection. */
  drop(owner: string, reason = 'peer-closed', gatewayStops = false): void {
    const known = this.owners.get(owner);
    if (known?.up != null) this.#down(known, reason, gatewayStops);
  }

  /** The network to it is interrupted: watches break, orders are lost. */
  cutOff(): void {
    this.cut = true;
    this.#breakWatches();
  }

  /** Its process dies with all its connections, and another boot starts. */
  restart(): void {
    for (const owner of this.owners.values()) owner.attempt?.cancel();
    this.owners.clear();
    this.lnkConns.clear();
    this.epoch = 0;
    this.boot++;
    this.firstBoot = this.boot;
    this.#breakWatches();
    this.onConnections();
  }

  /** Topology has declared it dead: it continues under another boot id, with all its connections. */
  reborn(): void {
    this.boot++;
  }

  /** A port to this process of the gateway. */
  port(): GatewayPort {
    const { firstBoot } = this;
    let isClosed = false;
    const reachable = () => !this.cut && this.firstBoot === firstBoot;
    const order = <T>(run: () => Promise<T>): Promise<T> => {
      const fate = this.fates.shift() ?? 'ok';
      if (!reachable() || fate === 'unheard') return this.#giveUp();
      if (fate === 'late') {
        this.#clock.after(GIVE_UP_MS + 1000, () => {
          if (reachable()) run().catch(() => {});
        });
        return this.#giveUp();
      }
      const done = run();
      if (fate === 'ok') {
        // The answer arrives only if the network is still there.
        return done.then(
          (answer) => (reachable() ? answer : this.#giveUp()),
          (error: unknown) => {
            if (reachable()) throw error;
            return this.#giveUp();
          },
        );
      }
      done.catch(() => {});
      return this.#giveUp();
    };
    return {
      dial: (request) => order(() => this.#dial(request)),
      hangup: (request) => order(() => this.#hangup(request)),
      watch: (epoch, sink) => this.#watch(epoch, sink, () => reachable() && !isClosed),
      close: () => {
        isClosed = true;
      },
    };
  }

  #clockUs(): number {
    return (this.#clock.now() + this.clockAhead) * 1000;
  }

  #giveUp<T>(): Promise<T> {
    return new Promise((_, reject) => {
      this.#clock.after(GIVE_UP_MS, () => reject(new OrderError('unknown', 'no answer')));
    });
  }

  #watch(epoch: number, sink: MediaSink, isReachable: () => boolean): MediaStream {
    const end = (error: OrderError) => queueMicrotask(() => sink.ended(error));
    if (!isReachable()) {
      end(new OrderError('unknown', 'unreachable'));
      return { cancel: () => {} };
    }
    try {
      this.#checkEpoch(epoch);
    } catch (error) {
      end(error as OrderError);
      return { cancel: () => {} };
    }
    const snapshot = WatchMediaResponse.create({
      snapshotEnd: true,
      gateway: this.id,
      firstBoot: `b${this.firstBoot}`,
      clockUs: this.#clockUs(),
    });
    for (const { conn, slots } of this.lnkConns.values()) {
      snapshot.opened.push(conn);
      snapshot.slots.push(...slots.values());
    }
    for (const { up } of this.owners.values()) if (up !== null) snapshot.up.push(up);
    this.#watches.add(sink);
    queueMicrotask(() => {
      if (this.#watches.has(sink)) sink.message(snapshot);
    });
    return { cancel: () => this.#watches.delete(sink) };
  }

  #breakWatches(): void {
    const broken = this.#watches;
    this.#watches = new Set();
    for (const sink of broken) queueMicrotask(() => sink.ended(new OrderError('unknown', 'broken')));
  }

  #tell(changes: Partial<WatchMediaResponse>): void {
    const response = WatchMediaResponse.create({ ...changes, clockUs: this.#clockUs() } as never);
    for (const sink of this.#watches) {
      queueMicrotask(() => {
        if (this.#watches.has(sink)) sink.message(response);
      });
    }
  }

  #checkEpoch(epoch: number): void {
    if (this.refusal !== null) throw this.refusal();
    if (epoch < this.epoch) throw new OrderError('stale-epoch', 'stale', { epoch: this.epoch });
    if (epoch === this.epoch) return;
    this.epoch = epoch;
    const broken = this.#watches;
    this.#watches = new Set();
    for (const sink of broken) queueMicrotask(() => sink.ended(new OrderError('unknown', 'another leader')));
    for (const owner of this.owners.values()) owner.attempt?.cancel();
  }

  async #dial(request: DialRequest): Promise<DialResponse> {
    const { owner: name, epoch, generation, host, port, dialect, connectTimeoutMs } = request;
    this.#checkEpoch(epoch);
    this.log.push(`dial ${name} ${epoch}.${generation} ${host}:${port}`);
    const owner = this.#owner(name);
    if (compare(request, owner) <= 0) throw new OrderError('superseded', 'superseded');
    owner.epoch = epoch;
    owner.generation = generation;
    this.#end(owner);
    const host_ = this.hosts.get(host) ?? 'up';
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.after(host_ === 'silent' ? connectTimeoutMs : this.dialMs, resolve);
      owner.attempt = {
        cancel: () => {
          timer.cancel();
          owner.attempt = null;
          reject(new OrderError('superseded', 'cancelled'));
        },
      };
    });
    owner.attempt = null;
    const now = this.hosts.get(host) ?? 'up';
    if (now !== 'up') throw new OrderError('failed', now === 'silent' ? 'in time' : 'nobody answers there');
    const remoteAddress = `${host}:${port}`;
    const up = { owner: name, epoch, generation, connection: ++this.#number, remoteAddress, host, port, dialect };
    owner.up = up;
    this.onConnections();
    this.#tell({ up: [up] });
    return { connection: up.connection, remoteAddress };
  }

  async #hangup(request: HangupRequest): Promise<void> {
    const { owner: name, epoch, generation } = request;
    this.#checkEpoch(epoch);
    this.log.push(`hangup ${name} ${epoch}.${generation}`);
    const owner = this.#owner(name);
    const isLater = compare(request, owner) >= 0;
    if (isLater) {
      owner.epoch = epoch;
      owner.generation = generation;
    }
    if (isLater || (owner.up !== null && compare(request, owner.up) >= 0)) this.#end(owner);
  }

  #owner(name: string): Owner {
    let owner = this.owners.get(name);
    if (owner === undefined) {
      owner = { epoch: 0, generation: 0, up: null, attempt: null };
      this.owners.set(name, owner);
    }
    return owner;
  }

  #end(owner: Owner): void {
    owner.attempt?.cancel();
    if (owner.up !== null) this.#down(owner, 'hangup');
  }

  #down(owner: Owner, reason: string, gatewayStops = false): void {
    const { owner: name, epoch, generation } = owner.up!;
    owner.up = null;
    this.onConnections();
    this.#tell({ down: [{ owner: name, epoch, generation, reason, gatewayStops }] });
  }
}

type Rank = { readonly epoch: number; readonly generation: number };

function compare(a: Rank, b: Rank): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}
