import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { KEPT as GATEWAY_KEPT } from '@spanmesh/link-gateway/gateway-service';
import { MAX_DRAINS } from '@spanmesh/link-gateway/limits';
import type { DrainProgress } from '@spanmesh/proto/v1/gateway_control';
import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { VolconfClient } from '@spanmesh/proto/v1/volconf';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { leftIn } from '@spanmesh/runtime/table-sizes';
import { KEPT as TOPOLOGY_KEPT } from '@spanmesh/topology/core';
import { KEPT as VOLCONF_KEPT } from '@spanmesh/volconf/term';
import { Random } from '../fuzz/random.ts';
import type { HeldRelay } from '../peer/live-peer.ts';
import { SERVICES } from '../peer/scrape.ts';
import { differences, treesOf } from '../peer/trees.ts';
import { describeMessage } from '../peer/wire.ts';
import { Kernel, type SimProcess } from './kernel.ts';
import { Network } from './network.ts';
import { SimOperator } from './operator.ts';
import { drawPart, type PeerWatch, SimPeer, witnessOf, witnessPart } from './peer.ts';
import { type Fault, processesOf, type Sizes, type Step } from './plan.ts';
import { setKernel } from './platform/globals.ts';
import {
  API_PORT,
  RNSS_ADD,
  type Running,
  SERVICE_PORT,
  type Service,
  simSecurity,
  startGateway,
  startTopology,
  startVolconf,
} from './processes.ts';
import { SimStore, STORE_HOST } from './store.ts';
import { type Lost, SimTarget } from './target.ts';
import { type Harm, Touches } from './touches.ts';
import { SimWatcher } from './watcher.ts';

/** A peer begins a transaction every ASK_MS. */
const ASK_MS = 80;
/** How long everything may take to become whole again after all faults have ended, ms of the simulation. */
const PATIENCE_MS = 60_000;
/** How often that is checked, ms. */
const LOOK_MS = 1000;
/** A process that has not ended this long after SIGTERM counts as hanging, ms. */
const STOP_MS = 20_000;
/** How long an order to volconf may take before it is given again, ms. */
const ORDER_MS = 4000;
/** How often it is checked who leads, ms; and for how long a lease may be believed that the store has forgotten. */
const LEADERS_MS = 25;
const LEASE_MS = 4000;
/**
 * A relay that ends because a drain has closed its connection may do so at most this much earlier than the connection
 * ends, ms.
 */
const DRAINED_WITHIN_MS = 20_000;
/** For this long after a fault of its own, a peer may still fail to answer in time, ms. */
const PEER_RECOVERS_MS = 15_000;
const SLOW = { from: 100, to: 900 };
const STORE_SLOW_MS = 1500;
/** Most findings that are reported of one run. */
const MOST_SAID = 12;

/** A violation that the simulation has found. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

export interface WorldOptions {
  readonly seed: number;
  readonly sizes: Sizes;
  /** Receives notes of what happens, and the lines that processes log at `logLevel` and above. */
  readonly log?: ((line: string) => void) | undefined;
  readonly logLevel?: string;
}

/** A whole installation with its peers, in virtual time. */
export class World implements PeerWatch {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly store: SimStore;
  readonly peers: SimPeer[] = [];
  readonly running = new Map<string, Running>();
  /** Violations, recorded as soon as they are seen. */
  readonly wrong: string[] = [];
  /** How often each kind of fault has happened. */
  readonly faults = new Map<string, number>();
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #touches: Touches;
  readonly #hosts = new Map<string, string>();
  readonly #checker: SimProcess;
  readonly #watcher: SimWatcher;
  readonly operator: SimOperator;
  readonly #targets: readonly SimTarget[];
  #ordered = new Set<SimTarget>();
  readonly #stopping = new Set<string>();
  #isAsking = false;
  /** All peers leave: that is the reason for everything that ends. */
  #isDeserted = false;
  #storeTrustedFrom = 0;
  #quietAt = 0;
  /** Faults of peers that do not answer, read or stay as they should, and the time at which the last of them ended. */
  readonly #troubled = new Set<Fault>();
  #troubledUntil = 0;
  /**
   * Harm that only a drain can explain, by closing the connection of one of `peers`. Checked when everything is quiet.
   */
  #byDrain: { readonly at: number; readonly peers: readonly SimPeer[]; readonly what: string }[] = [];

  constructor(options: WorldOptions) {
    const { seed, sizes, log } = options;
    this.#options = options;
    this.kernel = new Kernel(seed);
    setKernel(this.kernel);
    if (log !== undefined) this.kernel.log = log;
    this.kernel.onThrow = (error, process) => this.threw(error, process);
    this.network = new Network(this.kernel);
    this.store = new SimStore(this.kernel, this.network);
    this.#random = new Random(seed, 4);
    this.#checker = this.kernel.process('checker', '127.0.9.1');
    for (const [i, name] of processesOf(sizes).entries()) this.#hosts.set(name, `127.0.1.${i + 1}`);
    for (const name of this.#hosts.keys()) this.start(name);
    const hostsOf = (kind: string) =>
      [...this.#hosts].filter(([name]) => name.startsWith(kind)).map(([, host]) => host);
    const [gateways, topologies, volconfs] = [hostsOf('gateway'), hostsOf('topology'), hostsOf('volconf')];
    this.#touches = new Touches(this.kernel, { gateways, topologies, volconfs, hasStore: sizes.hasStore });
    for (let n = 0; n < sizes.peers; n++) {
      const part = drawPart(n, new Random(seed, 0x10000 + n));
      this.#addPeer(`peer-${n}`, `127.0.2.${n + 1}`, part, gateways);
    }
    for (const [i, gateway] of gateways.entries()) {
      for (const [j, dialect] of (['linkid', 'circuit'] as const).entries()) {
        const n = 2 * i + j;
        this.#addPeer(`witness-${n}`, `127.0.4.${n + 1}`, witnessPart(n, dialect, gateway), gateways);
      }
    }
    for (const peer of this.peers) peer.come();
    this.#watchLeaders();
    this.#targets = (sizes.volconfs === 0 ? [] : (['linkid', 'circuit'] as const)).map(
      (dialect, n) =>
        new SimTarget(this.kernel, { n, host: `127.0.5.${n + 1}`, dialect }, (target, lost) =>
          this.#dialledLost(target, lost),
        ),
    );
    this.#orderTargets();
    this.#watcher = new SimWatcher(this.kernel, this.kernel.process('watcher', '127.0.9.2'), topologies);
    this.operator = new SimOperator({
      kernel: this.kernel,
      process: this.kernel.process('operator', '127.0.9.3'),
      replicas: topologies,
      cut: (gateway, begunAt) => this.#drainCut(gateway, begunAt),
    });
  }

  /** Plays the steps of a round under traffic; at its end no fault lasts. */
  async round(steps: readonly Step[]): Promise<void> {
    const { kernel } = this;
    let left = steps.length;
    this.#isAsking = true;
    this.#ask();
    for (const step of steps) {
      kernel.at(null, kernel.now + step.atMs, () => {
        this.#begin(step);
        kernel.at(null, kernel.now + step.forMs, () => {
          this.#end(step.fault);
          left--;
        });
      });
    }
    const leastUntil = kernel.now + 1000;
    await kernel.run(() => this.wrong.length > 0 || (left === 0 && kernel.now >= leastUntil));
    this.#isAsking = false;
    this.#heal();
    this.#throwIfWrong();
  }

  /** Waits until everything is as it must be. @throws Finding: what is still wrong after PATIENCE_MS. */
  async quiet(): Promise<void> {
    const { kernel } = this;
    const began = kernel.now;
    for (;;) {
      const nextLook = kernel.now + LOOK_MS;
      await kernel.run(() => this.wrong.length > 0 || kernel.now >= nextLook);
      this.#throwIfWrong();
      const found = await this.#findings();
      this.#throwIfWrong();
      if (found.length === 0) {
        this.#touches.settled();
        this.#drainsHaveReason();
        this.#quietAt = kernel.now;
        return;
      }
      if (kernel.now - began > PATIENCE_MS) throw new Finding(found.slice(0, MOST_SAID).join('\n'));
    }
  }

  /**
   * Makes all peers leave, and waits until no table has an entry of them. @throws Finding: what is left after
   * PATIENCE_MS.
   */
  async deserted(): Promise<void> {
    const { kernel } = this;
    this.#isDeserted = true;
    for (const peer of this.peers) peer.go('leave');
    this.#orderTargets();
    const began = kernel.now;
    for (;;) {
      const nextLook = kernel.now + LOOK_MS;
      await kernel.run(() => this.wrong.length > 0 || kernel.now >= nextLook);
      this.#throwIfWrong();
      const found = [...this.running].flatMap(([name, { service }]) => leftAt(service).map((one) => `${name}: ${one}`));
      if (found.length === 0) return;
      if (kernel.now - began > PATIENCE_MS) throw new Finding(found.slice(0, MOST_SAID).join('\n'));
    }
  }

  /** Number of answered transactions, to check that there are any. */
  get answered(): number {
    return this.peers.reduce((sum, { answered }) => sum + answered, 0);
  }

  start(name: string): void {
    const host = this.#hosts.get(name)!;
    this.network.power(host, true);
    const process = this.kernel.process(name, host);
    const around = {
      network: this.network,
      store: this.#options.sizes.hasStore ? this.store : null,
      topology: `${this.#hosts.get('topology-1')}:${SERVICE_PORT}`,
      log: (by: SimProcess, line: string) => this.#logged(by, line),
      logLevel: this.#options.logLevel ?? 'error',
    };
    const make = name.startsWith('gateway') ? startGateway : name.startsWith('topology') ? startTopology : startVolconf;
    // Created in an event of the process, so that its promises run with it as `current`.
    this.kernel.next(process, () => this.running.set(name, make(process, around)));
  }

  relayClosed(peer: SimPeer, { span }: HeldRelay): void {
    this.#mustHaveReason('relay', peer, witnessOf(span), 'the router closed the relay');
  }

  transactionLost(peer: SimPeer, { span }: HeldRelay): void {
    this.#mustHaveReason('transaction', peer, witnessOf(span), 'a transaction was lost on the relay');
  }

  threw(error: unknown, process: SimProcess | null): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.wrong.push(`${process?.name ?? 'the world'} threw: ${text}`);
  }

  /** architecture.md, "What must always hold" 4: a fault must not harm anything that it does not touch. */
  #mustHaveReason(harm: Harm, peer: SimPeer, witness: number | null, what: string): void {
    if (witness === null || this.#isDeserted) return;
    const owner = this.peers.find(({ name }) => name === `witness-${witness}`);
    const at = peer.part.witness?.gateway;
    const from = owner?.part.witness?.gateway;
    if (owner === undefined || at === undefined || from === undefined) return;
    if (this.#touches.excuse(harm, at, from)) return;
    const drained = [...this.#hosts].some(
      ([name, host]) => (host === at || host === from) && this.operator.hasDrained(name, this.#quietAt),
    );
    if (drained) {
      this.#byDrain.push({ at: this.kernel.now, peers: [peer, owner], what: `${what} of witness-${witness}` });
      return;
    }
    this.wrong.push(`${peer.name}: ${what} of witness-${witness}, which nothing has touched`);
  }

  /** A drain may only harm connections that it has chosen: one of the two peers' connections must have ended. */
  #drainsHaveReason(): void {
    for (const { at, peers, what } of this.#byDrain) {
      // Peers of other gateways may notice late: while nobody leads, or while their gateway cannot be reached.
      const isSo = (ended: number) => ended >= this.#quietAt && ended <= at + DRAINED_WITHIN_MS;
      if (peers.some(({ endedAt }) => endedAt.some(isSo))) continue;
      this.wrong.push(`${peers[0]?.name}: ${what}, at ${at}: a drain had chosen neither of the two`);
    }
    this.#byDrain = [];
    this.#throwIfWrong();
  }

  /** A drain must not cut the connections of peers that answer, if the gateway can hear them. */
  #drainCut(gateway: string, begunAt: number): void {
    if (this.#troubled.size > 0 || this.#troubledUntil >= begunAt) return;
    if (this.#touches.isSound(this.#hostOf(gateway)))
      this.wrong.push(`a drain has cut off healthy peers of ${gateway}`);
  }

  /** A connection that volconf has had dialled before the last quiet moment must not end unless a fault touched it. */
  #dialledLost({ name }: SimTarget, { gateway, since }: Lost): void {
    if (this.#isDeserted || since >= this.#quietAt || this.#touches.excuseDialled(gateway)) return;
    this.wrong.push(`${name}: the connection that ${gateway} has dialled was closed, which nothing has touched`);
  }

  #addPeer(name: string, host: string, part: SimPeer['part'], gateways: readonly string[]): void {
    this.peers.push(new SimPeer({ name, host, part, gateways }, { kernel: this.kernel, watch: this }));
  }

  /** architecture.md, "Lease": according to the store, at most one process of a role leads at any moment. */
  #watchLeaders(): void {
    const { kernel } = this;
    kernel.at(null, kernel.now + LEADERS_MS, () => this.#watchLeaders());
    if (kernel.now < this.#storeTrustedFrom) return;
    for (const role of ['topology', 'volconf'] as const) {
      const leaders = [...this.running].filter(([, { service }]) => service.kind === role && leads(service));
      if (leaders.length > 1) this.wrong.push(`two lead at once: ${leaders.map(([name]) => name).join(', ')}`);
    }
  }

  /** Orders all targets, as an operator who tries again until volconf accepts them. */
  #orderTargets(): void {
    this.#ordered = new Set();
    for (const target of this.#targets) this.#order(target);
  }

  #order(target: SimTarget): void {
    const { kernel, network } = this;
    kernel.next(this.#checker, () => {
      const host = this.#hosts.get(this.#random.oneIn(2) ? 'volconf-1' : 'volconf-2')!;
      const client = createClient(VolconfClient, `${host}:${API_PORT}`, {
        security: simSecurity(network, this.#checker),
      });
      const { name, path } = target;
      const dialect = target.dialect === 'linkid' ? Dialect.DIALECT_LINKID : Dialect.DIALECT_CIRCUIT;
      const deadline = this.#checker.wall() + ORDER_MS;
      const done = (error: ServiceError | null): void => {
        client.close();
        if (error === null) this.#ordered.add(target);
        else kernel.after(this.#checker, ORDER_MS / 4, () => this.#order(target));
      };
      if (this.#isDeserted) client.removeTarget({ name }, new Metadata(), { deadline }, done);
      else client.setTarget({ name, path, dialect }, new Metadata(), { deadline }, done);
    });
  }

  #ask(): void {
    if (!this.#isAsking) return;
    this.#random.pick(this.peers).ask(this.#random);
    this.kernel.at(null, this.kernel.now + 1 + this.#random.below(2 * ASK_MS), () => this.#ask());
  }

  #begin({ forMs, fault }: Step): void {
    this.kernel.note(`begin ${JSON.stringify(fault)} for ${forMs}`);
    this.faults.set(fault.kind, (this.faults.get(fault.kind) ?? 0) + 1);
    this.#touches.begin(fault, forMs, (name) => this.#hostOf(name));
    switch (fault.kind) {
      case 'kill':
      case 'power':
        this.#die(fault.process, fault.kind === 'kill' ? 'killed' : 'power');
        return;
      case 'stop':
        this.#stop(fault.process);
        return;
      case 'pause':
        this.#process(fault.process)?.pause();
        return;
      case 'jump': {
        const process = this.#process(fault.process);
        if (process !== undefined) process.wallOffset += fault.ms;
        return;
      }
      case 'cut':
      case 'silent':
      case 'one-way':
        this.#setWay(fault, fault.to, fault.kind === 'cut' ? 'cut' : 'silent');
        return;
      case 'slow':
        this.#slow(fault.process, fault.to, true);
        return;
      case 'reset-way':
        this.#setWay(fault, fault.to, 'cut');
        this.#setWay(fault, fault.to, 'open');
        return;
      case 'two-step':
        this.#setWay(fault, fault.to, 'silent');
        this.kernel.at(null, this.kernel.now + forMs / 2, () => this.#setWay(fault, null, 'silent'));
        return;
      case 'drain': {
        const { process: gateway, share, deadlineMs } = fault;
        this.operator.drain({ gateway, share, deadlineMs });
        return;
      }
      case 'unheard':
        this.#unheard(fault.process, 'silent');
        return;
      case 'store-away':
        this.store.down();
        return;
      case 'store-leaderless':
        this.store.loseLeader();
        return;
      case 'store-slow':
        this.store.slowMs = STORE_SLOW_MS;
        return;
      case 'store-wiped':
        this.#distrustStore(forMs);
        this.store.wipe();
        return;
      case 'store-rolled-back':
        this.#distrustStore(forMs);
        this.store.rollBack();
        return;
      default:
        this.#beginPeer(fault);
    }
  }

  /** A lease that the store has forgotten may still be believed for its time. */
  #distrustStore(forMs: number): void {
    this.#storeTrustedFrom = Math.max(this.#storeTrustedFrom, this.kernel.now + forMs + LEASE_MS);
  }

  #beginPeer(fault: Extract<Fault, { peer: number }>): void {
    const peer = this.peers[fault.peer]!;
    if (fault.kind !== 'refuse' && fault.kind !== 'withdraw') this.#troubled.add(fault);
    switch (fault.kind) {
      case 'leave':
      case 'reset':
        peer.go(fault.kind);
        return;
      case 'peer-silent':
        this.network.set(peer.process.host, '*', 'silent');
        this.network.set('*', peer.process.host, 'silent');
        return;
      case 'peer-slow':
        peer.read(false);
        return;
      case 'refuse':
        peer.refuse(fault.nth);
        return;
      case 'withdraw':
        peer.withdraw(fault.nth);
    }
  }

  #end(fault: Fault): void {
    this.kernel.note(`end ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case 'kill':
      case 'power':
      case 'stop':
        if (this.running.get(fault.process) === undefined) this.start(fault.process);
        else this.#stopping.add(`${fault.process} again`);
        break;
      case 'pause':
        this.#process(fault.process)?.resume();
        break;
      case 'cut':
      case 'silent':
      case 'one-way':
        this.#setWay(fault, fault.to, 'open');
        break;
      case 'slow':
        this.#slow(fault.process, fault.to, false);
        break;
      case 'two-step':
        this.#setWay(fault, fault.to, 'open');
        this.#setWay(fault, null, 'open');
        break;
      case 'unheard':
        this.#unheard(fault.process, 'open');
        break;
      case 'store-away':
      case 'store-wiped':
      case 'store-rolled-back':
        this.store.up();
        break;
      case 'store-leaderless':
        this.store.electLeader();
        break;
      case 'store-slow':
        this.store.slowMs = 0;
        break;
      case 'leave':
      case 'reset':
        this.peers[fault.peer]!.come();
        break;
      case 'peer-silent': {
        const { host } = this.peers[fault.peer]!.process;
        this.network.set(host, '*', 'open');
        this.network.set('*', host, 'open');
        break;
      }
      case 'peer-slow':
        this.peers[fault.peer]!.read(true);
        break;
      case 'withdraw':
        this.peers[fault.peer]!.offer(fault.nth);
        break;
      case 'jump':
      case 'reset-way':
      case 'refuse':
      case 'drain':
    }
    if (this.#troubled.delete(fault)) this.#troubledUntil = this.kernel.now + PEER_RECOVERS_MS;
    this.#touches.end(fault);
  }

  #heal(): void {
    this.network.heal();
    this.store.up();
    this.store.electLeader();
    this.store.slowMs = 0;
    for (const { process } of this.running.values()) if (process.isPaused) process.resume();
    for (const peer of this.peers) peer.read(true);
    // A wiped store has lost the targets.
    this.#orderTargets();
    this.kernel.note('healed');
  }

  #die(name: string, how: 'killed' | 'power'): void {
    const process = this.#process(name);
    this.running.delete(name);
    if (how === 'power') this.network.power(this.#hosts.get(name)!, false);
    process?.die(how);
  }

  /** Stops a process with SIGTERM. It is started again when it has ended and the fault's time is over. */
  #stop(name: string): void {
    const running = this.running.get(name);
    if (running === undefined) return;
    const { process } = running;
    const { kernel } = this;
    const over = (): void => {
      late.cancel();
      if (this.running.get(name) !== running) return;
      this.running.delete(name);
      process.die('killed');
      if (this.#stopping.delete(`${name} again`)) kernel.at(null, kernel.now, () => this.start(name));
    };
    const late = kernel.at(null, kernel.now + STOP_MS, () => {
      if (this.running.get(name) === running) this.wrong.push(`${name} does not stop on SIGTERM`);
    });
    kernel.next(process, () => {
      running.stop().then(
        () => over(),
        (error: unknown) => this.threw(error, process),
      );
    });
  }

  #process(name: string): SimProcess | undefined {
    return this.running.get(name)?.process;
  }

  #hostOf(name: string): string {
    return name === 'store' ? STORE_HOST : this.#hosts.get(name)!;
  }

  #setWay(
    { kind, process }: { kind: string; process: string },
    to: string | null,
    state: 'cut' | 'silent' | 'open',
  ): void {
    const from = this.#hostOf(process);
    const there = to === null ? '*' : this.#hostOf(to);
    this.network.set(from, there, state);
    if (kind !== 'one-way') this.network.set(there, from, state);
  }

  #unheard(process: string, state: 'silent' | 'open'): void {
    const from = this.#hostOf(process);
    for (const to of this.#touches.witnessesOf(from)) {
      this.network.set(from, to, state);
      this.network.set(to, from, state);
    }
  }

  #slow(process: string, to: string | null, isSlow: boolean): void {
    const from = this.#hostOf(process);
    const others = to === null ? [...this.#hosts.values(), STORE_HOST] : [this.#hostOf(to)];
    for (const other of others) {
      this.network.slow(from, other, isSlow ? SLOW : null);
      this.network.slow(other, from, isSlow ? SLOW : null);
    }
  }

  #logged(process: SimProcess, line: string): void {
    if (/"level":"(error|fatal)"/.test(line)) this.wrong.push(`${process.name} logged: ${line.trim()}`);
    this.kernel.log?.(`${(this.kernel.now / 1000).toFixed(4)} ${process.name} ${line.trim()}`);
  }

  #throwIfWrong(): void {
    if (this.wrong.length > 0) throw new Finding(this.wrong.slice(0, MOST_SAID).join('\n'));
  }

  async #findings(): Promise<string[]> {
    const found: string[] = [];
    for (const name of this.#hosts.keys()) if (!this.running.has(name)) found.push(`${name} does not run`);
    for (const peer of this.peers) {
      this.wrong.push(...peer.faults);
      if (peer.live === null) found.push(`${peer.name} is not connected`);
      if (peer.hanging > 0) found.push(`${peer.name} has ${peer.hanging} transactions open`);
      found.push(...peer.leftovers());
    }
    for (const target of this.#targets) {
      this.wrong.push(...target.faults);
      if (!this.#ordered.has(target)) found.push(`volconf has not taken ${target.name}`);
      else if (target.live.length !== 1) found.push(`${target.name} has ${target.live.length} connections`);
      for (const { raw } of target.live)
        found.push(...raw.inbox.map((one) => `${target.name}: ${describeMessage(one)} came`));
    }
    if (found.length > 0) return found;
    this.wrong.push(...this.operator.faults);
    if (this.operator.following > 0) found.push(`${this.operator.following} drains are followed`);
    found.push(...this.#tables());
    if (found.length > 0) return found;
    for (const { process, service } of this.running.values()) {
      if (service.kind !== 'topology') continue;
      found.push(...(await this.#compareTrees(process)));
      if (found.length > 0) return found;
    }
    return found;
  }

  async #compareTrees(process: SimProcess): Promise<string[]> {
    const { kernel, network } = this;
    let answer: string[] | null = null;
    const live = [...this.peers.flatMap(({ live }) => live ?? []), ...this.#targets.flatMap(({ live }) => live)];
    const refusedBy = new Map(this.peers.map(({ live, refused }) => [live, refused]));
    kernel.next(this.#checker, () => {
      const security = simSecurity(network, this.#checker);
      const client = createClient(TopologyClient, `${process.host}:${API_PORT}`, { security });
      treesOf(client)
        .then((trees) => [
          ...differences(live, trees, { rnssAdd: RNSS_ADD, refused: (peer) => refusedBy.get(peer) ?? [] }),
          ...this.#watcher.differences(trees),
        ])
        .catch((error: unknown) => [`cannot be asked: ${(error as Error).message}`])
        .then((found) => {
          client.close();
          answer = found;
        });
    });
    await kernel.run(() => answer !== null);
    return (answer ?? []).map((one) => `by ${process.name}: ${one}`);
  }

  /** Checks that every table has the size that the peers explain. */
  #tables(): string[] {
    const found: string[] = [];
    const open = [
      ...this.peers.flatMap(({ gateway, live }) => (live === null ? [] : [{ gateway, live }])),
      ...this.#targets.flatMap(({ live }) => live.map((one) => ({ gateway: one.raw.socket.remoteAddress, live: one }))),
    ];
    const say = (name: string, what: string, is: number, should: number) => {
      if (is !== should) found.push(`${name}: ${is} ${what}, ${should} should be`);
    };
    for (const [name, { process, service }] of this.running) {
      if (service.kind === 'gateway') {
        const { gateway } = service;
        const counts = gateway.counts();
        const own = open.filter(({ gateway: host }) => host === process.host);
        const transactions = own.reduce(
          (sum, { live }) => sum + 1 + live.conns.size + live.spans.size + live.held.size,
          0,
        );
        say(name, 'transactions', counts.transactions, transactions);
        say(name, 'connections', counts.connections, own.length);
        say(name, 'relays on demand', counts.onDemandRelays, 0);
        say(name, 'bytes queued', gateway.queuedBytes, 0);
        const trunks = gateway.trunks?.counts();
        if (trunks !== undefined) {
          say(name, 'transactions on trunks', trunks.transactions - trunks.routes, 0);
          say(name, 'connections without a token', trunks.unauthenticated, 0);
        }
        const { internalErrors, protocolErrors } = gateway.counters as unknown as Record<string, number | object>;
        for (const [what, count] of Object.entries({ internalErrors, protocolErrors })) {
          if (typeof count === 'number' && count > 0) this.wrong.push(`${name}: ${count} ${what}`);
        }
      } else if (service.kind === 'topology') {
        const { core } = service.topology;
        const gateways = [...this.#hosts.keys()].filter((host) => host.startsWith('gateway')).length;
        if (core.leadership.valid) {
          say(name, 'gateways', core.state.gateways.size, gateways);
          for (const gateway of core.state.gateways.values()) {
            say(name, `commands in flight to ${gateway.id}`, gateway.inFlight.pairs, 0);
            // Commands that it has obeyed arrive with its snapshot.
            if (!gateway.attached) found.push(`${name}: ${gateway.id} is not attached`);
            else found.push(...this.#drainsOf(gateway.name, [...gateway.drains.values()]));
          }
        }
      }
    }
    const leaders = [...this.running.values()].filter(({ service }) => service.kind === 'topology' && leads(service));
    if (leaders.length !== 1) found.push(`${leaders.length} topologies lead`);
    return found;
  }

  /** Checks that all drains of a gateway are done, and that each was done once. */
  #drainsOf(name: string, drains: readonly DrainProgress[]): string[] {
    const going = drains.filter(({ done }) => !done);
    if (going.length > 0) return going.map(({ order }) => `${name} has not done ${order}`);
    // The gateway remembers no more of them, so the sums cannot be compared.
    if (drains.length >= MAX_DRAINS) return [];
    const { service } = this.running.get(name) ?? {};
    const ended = drains.reduce((sum, { closed, cut }) => sum + closed + cut, 0);
    if (service?.kind === 'gateway' && service.gateway.counters.closed.drain > ended) {
      this.wrong.push(`${name} has closed ${service.gateway.counters.closed.drain} connections for drains of ${ended}`);
    }
    return [];
  }
}

/** Tables that still have entries though all peers have left, and volconf's targets. */
function leftAt(service: Service): string[] {
  switch (service.kind) {
    case 'gateway': {
      const { gateway } = service;
      return leftIn(gateway.tables(), { ...GATEWAY_KEPT, ...SERVICES });
    }
    case 'topology':
      return leads(service) ? leftIn(service.topology.core.tables(), { ...TOPOLOGY_KEPT, ...SERVICES }) : [];
    case 'volconf': {
      const { term } = service.volconf;
      return term === null ? [] : leftIn(term.tables(), { ...VOLCONF_KEPT, ...SERVICES });
    }
  }
}

function leads(service: Service): boolean {
  if (service.kind === 'topology') return service.topology.core.leadership.valid;
  return service.kind === 'volconf' && service.volconf.leads;
}
