import { Random } from '../fuzz/random.ts';
import type { Kernel, SimProcess } from './kernel.ts';

/**
 * The state of the way from one host to another, in this direction only.
 * * open: what is sent arrives.
 * * silent: what is sent waits, as behind a firewall that drops packets, and arrives when the way is open again.
 * * cut: connections are reset, new ones refused.
 */
export type WayState = 'open' | 'silent' | 'cut';

/** The delay of a message on a way, ms: drawn between `from` and `to`. */
export interface Delay {
  readonly from: number;
  readonly to: number;
}

const NEAR: Delay = { from: 0.05, to: 0.6 };
/** Time until TCP sends a lost packet again, ms. */
const RETRANSMIT_MS = 1000;
/** How long TCP tries to connect to a host that does not answer, ms. */
const CONNECT_MS = 60_000;
const FIRST_FREE_PORT = 20_000;

/** One side of a connection. What it sends arrives at the other side in order, or never. */
export class End {
  readonly process: SimProcess;
  /** The port of this side. */
  readonly port: number;
  other!: End;
  /** Takes what arrives; set before anything can arrive. `lost`: the other side has reset the connection. */
  receive: (item: unknown) => void = () => {};
  lost: () => void = () => {};
  /** This side is closed: what still arrives is answered with a reset. */
  isClosed = false;
  readonly #network: Network;
  readonly #ownDeath: (how: 'killed' | 'power') => void;
  /** What is on the way, in order, with its time of arrival. */
  #queue: { readonly arrive: () => void; readonly at: number }[] = [];
  #isStuck = false;
  #isCut = false;
  #isPumping = false;
  #last = 0;
  #isLost = false;

  constructor(network: Network, process: SimProcess, port: number) {
    this.#network = network;
    this.process = process;
    this.port = port;
    this.#ownDeath = (how) => {
      // The kernel of a killed process closes its connections; a host without power sends nothing.
      if (how === 'killed') this.reset();
      this.isClosed = true;
      this.#network.forget(this);
    };
    process.onDeath.add(this.#ownDeath);
    network.add(this);
  }

  get host(): string {
    return this.process.host;
  }

  /** Nothing that is sent arrives before this time. */
  notBefore(at: number): void {
    this.#last = Math.max(this.#last, at);
  }

  /** Sends something to the other side. `bytes` are added to the trace when it arrives. */
  send(item: unknown, bytes: Uint8Array | string = ''): void {
    if (this.isClosed) return;
    this.#carry(() => {
      const { other } = this;
      if (other.isClosed) {
        this.#refused();
        return;
      }
      if (bytes.length > 0) this.#network.kernel.mix(bytes);
      other.receive(item);
    });
  }

  /** Closes this side at once, and the other side as soon as the reset arrives. */
  reset(): void {
    if (this.isClosed) return;
    this.close();
    this.#carry(() => this.other.#reset());
  }

  /** Closes this side, without telling the other one. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.process.onDeath.delete(this.#ownDeath);
    this.#network.forget(this);
  }

  /** The way is open again: TCP delivers after its next retransmission. */
  flush(): void {
    if (!this.#isStuck) return;
    this.#isStuck = false;
    const { kernel, random } = this.#network;
    this.#pumpAt(kernel.now + random.below(RETRANSMIT_MS));
  }

  /** The way was cut: this side is reset, and what has not arrived yet is lost. */
  cut(): void {
    const { kernel, random } = this.#network;
    this.#queue = [];
    this.#isStuck = false;
    this.#isCut = true;
    if (this.isClosed) return;
    kernel.at(this.process, kernel.now + random.below(5), () => this.#reset());
  }

  #reset(): void {
    if (this.isClosed || this.#isLost) return;
    this.#isLost = true;
    this.lost();
    this.close();
  }

  /** The other side does not know this connection (any more): a reset comes back. */
  #refused(): void {
    const { kernel } = this.#network;
    kernel.at(this.process, kernel.now + this.#network.delay(this.other.host, this.host), () => this.#reset());
  }

  #carry(arrive: () => void): void {
    // Between the cut and the reset the process may still send. That must not arrive, since what was sent before did
    // not.
    if (this.#isCut) return;
    const { kernel } = this.#network;
    this.#last = Math.max(this.#last, kernel.now + this.#network.delay(this.host, this.other.host));
    this.#queue.push({ arrive, at: this.#last });
    if (!this.#isPumping && !this.#isStuck) this.#pumpAt(this.#last);
  }

  #pumpAt(at: number): void {
    this.#isPumping = true;
    this.#network.kernel.at(null, at, () => this.#pump());
  }

  /** Delivers what is due, as an event of the receiving process; if that is dead, its host answers with a reset. */
  #pump(): void {
    this.#isPumping = false;
    const { kernel } = this.#network;
    const { process } = this.other;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#network.isSilent(this.host, this.other.host)) {
        this.#isStuck = true;
        this.#network.waits(this);
        return;
      }
      if (first.at > kernel.now) {
        this.#pumpAt(first.at);
        return;
      }
      this.#queue.shift();
      if (process.isDead) first.arrive();
      else kernel.next(process, first.arrive);
    }
  }
}

/** Accepts connections on a port. */
export interface Acceptor {
  readonly process: SimProcess;
  /** Called as an event of the process. */
  accept(end: End): void;
}

/** Result of an attempt to connect. */
export type Connected =
  | { readonly kind: 'connected'; readonly end: End }
  | { readonly kind: 'refused' }
  | { readonly kind: 'timeout' };

/** The network between hosts. Every host reaches every other one, unless a state was set for the way between them. */
export class Network {
  readonly kernel: Kernel;
  readonly random: Random;
  readonly #ends = new Set<End>();
  /** Ends with sent bytes that their way does not deliver at present. */
  readonly #waiting = new Set<End>();
  readonly #acceptors = new Map<string, Acceptor>();
  readonly #states = new Map<string, WayState>();
  readonly #delays = new Map<string, Delay>();
  /** Hosts without power. */
  readonly #off = new Set<string>();
  readonly #onChange = new Set<() => void>();
  #ports = FIRST_FREE_PORT;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.random = new Random(kernel.seed, 2);
    kernel.network = this;
  }

  /** Makes a process listen. Returns the port, or null if it is in use. */
  listen(acceptor: Acceptor, host: string, port: number): number | null {
    const got = port === 0 ? this.#ports++ : port;
    const name = `${host}:${got}`;
    const there = this.#acceptors.get(name);
    if (there !== undefined && !there.process.isDead) return null;
    this.#acceptors.set(name, acceptor);
    return got;
  }

  unlisten(host: string, port: number, acceptor: Acceptor): void {
    if (this.#acceptors.get(`${host}:${port}`) === acceptor) this.#acceptors.delete(`${host}:${port}`);
  }

  /** Connects. `done` is called once, as an event of the process, unless `isOff` says that nobody waits any more. */
  connect(process: SimProcess, host: string, port: number, done: (how: Connected) => void, isOff: () => boolean): void {
    const giveUpAt = this.kernel.now + CONNECT_MS;
    const answer = (how: Connected): void => {
      const at = this.kernel.now + this.delay(host, process.host);
      // The other side's messages arrive after its SYN.
      if (how.kind === 'connected') how.end.other.notBefore(at);
      this.kernel.at(process, at, () => {
        if (!isOff()) done(how);
        else if (how.kind === 'connected') how.end.reset();
      });
    };
    const knock = (): void => {
      if (isOff()) return;
      const there = this.state(process.host, host);
      const back = this.state(host, process.host);
      if (there === 'silent' || back === 'silent' || !this.isUp(host)) {
        if (this.kernel.now >= giveUpAt) answer({ kind: 'timeout' });
        else this.kernel.at(null, this.kernel.now + RETRANSMIT_MS, knock);
        return;
      }
      const acceptor = this.#acceptors.get(`${host}:${port}`);
      if (there === 'cut' || back === 'cut' || acceptor === undefined || acceptor.process.isDead) {
        answer({ kind: 'refused' });
        return;
      }
      const mine = new End(this, process, this.#ports++);
      const theirs = new End(this, acceptor.process, port);
      mine.other = theirs;
      theirs.other = mine;
      // The kernel of the other host has accepted the connection; the process is told in an event of its own.
      this.kernel.next(acceptor.process, () => {
        if (!theirs.isClosed) acceptor.accept(theirs);
      });
      answer({ kind: 'connected', end: mine });
    };
    this.kernel.at(null, this.kernel.now + this.delay(process.host, host), knock);
  }

  /** The state of the way from one host to another. */
  state(from: string, to: string): WayState {
    return this.#states.get(`${from}>${to}`) ?? this.#states.get(`${from}>*`) ?? this.#states.get(`*>${to}`) ?? 'open';
  }

  /** Whether TCP keeps sending again what it sends: the way is silent, or the host is off. */
  isSilent(from: string, to: string): boolean {
    return this.state(from, to) === 'silent' || !this.isUp(to);
  }

  delay(from: string, to: string): number {
    const { from: least, to: most } = this.#delays.get(`${from}>${to}`) ?? NEAR;
    return least + ((most - least) * this.random.below(1000)) / 1000;
  }

  /** Sets the state of a way. `from` and `to` may be `*`: every host. */
  set(from: string, to: string, state: WayState): void {
    const name = `${from}>${to}`;
    if (state === 'open') this.#states.delete(name);
    else this.#states.set(name, state);
    this.#changed();
  }

  /** Sets the delay of a way. null: the usual one. */
  slow(from: string, to: string, delay: Delay | null): void {
    if (delay === null) this.#delays.delete(`${from}>${to}`);
    else this.#delays.set(`${from}>${to}`, delay);
  }

  isUp(host: string): boolean {
    return !this.#off.has(host);
  }

  power(host: string, isOn: boolean): void {
    if (isOn) this.#off.delete(host);
    else this.#off.add(host);
    this.#changed();
  }

  heal(): void {
    this.#states.clear();
    this.#delays.clear();
    this.#off.clear();
    this.#changed();
  }

  /** `fn` is called when the state of some way may have changed. */
  onChange(fn: () => void): void {
    this.#onChange.add(fn);
  }

  /** Number of connection ends, for checks that none is left over. */
  get open(): number {
    return this.#ends.size;
  }

  add(end: End): void {
    this.#ends.add(end);
  }

  waits(end: End): void {
    this.#waiting.add(end);
  }

  forget(end: End): void {
    this.#ends.delete(end);
  }

  #changed(): void {
    const concerned = new Set([...this.#ends, ...this.#waiting]);
    for (const end of concerned) {
      const there = this.state(end.host, end.other.host);
      if (this.isSilent(end.host, end.other.host)) continue;
      this.#waiting.delete(end);
      if (there === 'cut' || this.state(end.other.host, end.host) === 'cut') end.cut();
      else end.flush();
    }
    for (const fn of this.#onChange) fn();
  }
}
