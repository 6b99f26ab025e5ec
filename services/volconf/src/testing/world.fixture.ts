import { encodeVolconf, LNK_VOLCONF_BYTES, VOLCONF_COPY_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { type Bus, BusError, type KeyValue } from '@spanmesh/runtime/bus/bus';
import { GATEWAYS_BUCKET, LEASES_BUCKET, TARGETS_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import { FaultyKv } from '@spanmesh/runtime/bus/in-process/faulty-kv';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { settings } from '../settings.ts';
import { createVolconf, type Volconf } from '../volconf.ts';
import { FakeGateway, type Host } from './fake-gateway.fixture.ts';

export const MEDIA = '3ec04d85-9f60-11e4-8a21-01a2b3c4d5e9';
export const MEDIA_2 = '4ec04d85-9f60-11e4-8a21-01a2b3c4d5e9';
export const CLUSTER = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';
const NIL = '00000000-0000-0000-0000-000000000000';

/**
 * Step by which `advance` lets time pass while something is due, ms; a step to a later due time is at most 20 times as
 * long. Small enough that events happen in their order.
 */
const STEP_MS = 50;
/** Rounds of the event loop after which all work that needs no time is done. */
const ROUNDS = 6;

/** The 128 bytes of a slot's copy. */
export function copyOf(
  path: string,
  fields: { copyId?: number; priority?: number; cluster?: string; label?: string } = {},
): Uint8Array {
  const { copyId = 1, priority = 0, cluster = CLUSTER, label = '' } = fields;
  const payload = new Uint8Array(LNK_VOLCONF_BYTES);
  const zero = { inprog: 0, chainTo: 0, chainFrom: 0, flags: 0, error: 0, remotePfsType: 0 };
  encodeVolconf(
    { index: 0, mediaId: NIL, copy: { ...zero, copyId, priority, pfsClid: cluster, label, path } },
    payload,
    0,
  );
  return payload.subarray(0, VOLCONF_COPY_BYTES);
}

/** Volconf replicas and gateways without sockets, with a fake clock. */
export class World {
  readonly clock = new FakeClock();
  readonly hosts = new Map<string, Host>();
  readonly gateways: FakeGateway[];
  readonly bus: InProcessBus;
  readonly replicas = new Set<Volconf>();
  /** By replica: whether the store of leases is away. */
  readonly leases = new Map<Volconf, { away: boolean }>();
  /** Whether nobody can read the store of operators' targets. */
  targetsAway = false;
  readonly log: Record<string, unknown>[] = [];
  readonly #metrics = new Map<Volconf, Metrics>();
  /**
   * Gateways that give no signs of life: topology's leader declares them dead 5 s later, and deletes their entry in the
   * registry.
   */
  readonly unregistered = new Set<FakeGateway>();
  /** Gateways whose entry in the registry says that they are going to stop. */
  readonly draining = new Set<FakeGateway>();
  /** Owners that had two connections, apart from excused ones. */
  readonly doubles: string[] = [];
  /**
   * Processes of gateways that a new leader could not ask. Their connections cannot be known, whatever their present
   * boot id.
   */
  readonly excused = new Set<string>();
  readonly #env: Record<string, string>;
  readonly #silentSince = new Map<FakeGateway, number>();
  #renewAt = 0;
  #address = 1;

  private constructor(gateways: number, env: Record<string, string>) {
    this.#env = env;
    const { clock, hosts } = this;
    this.bus = new InProcessBus({
      onError: (error) => {
        throw error;
      },
    });
    this.gateways = Array.from({ length: gateways }, (_, i) => new FakeGateway(`gw${i}`, { clock, hosts }));
    for (const gateway of this.gateways) gateway.onConnections = () => this.#count();
  }

  static async start({
    gateways = 1,
    env = {},
    replicas = 1,
  }: {
    gateways?: number;
    env?: Record<string, string>;
    replicas?: number;
  } = {}): Promise<World> {
    const world = new World(gateways, env);
    await world.#renew();
    for (let i = 0; i < replicas; i++) await world.addReplica();
    await world.advance(0);
    return world;
  }

  get gateway(): FakeGateway {
    return this.gateways[0]!;
  }

  /** The replica that leads. */
  get leader(): Volconf {
    const leading = [...this.replicas].filter(({ term }) => term !== null);
    if (leading.length !== 1) throw new Error(`${leading.length} replicas lead`);
    return leading[0]!;
  }

  async addReplica(): Promise<Volconf> {
    const address = `127.0.0.1:${this.#address++}`;
    const { bus, clock } = this;
    const lease = { away: false };
    const metrics = new Metrics();
    const faulty: Bus = {
      publish: (subject, data) => bus.publish(subject, data),
      subscribe: (subject, fn) => bus.subscribe(subject, fn),
      close: () => bus.close(),
      kv: async (bucket) => {
        const kv = await bus.kv(bucket);
        if (bucket === TARGETS_BUCKET) return this.#readable(kv);
        if (bucket !== LEASES_BUCKET) return kv;
        return new FaultyKv(kv, { clock, next: () => ({ kind: lease.away ? 'fail' : 'ok' }) });
      },
    };
    const volconf = createVolconf(
      {
        settings: readSettings(settings, { env: this.#env, flags: {} }),
        address: () => address,
      },
      {
        bus: faulty,
        clock,
        random: seeded(this.#address),
        logger: createLogger({
          level: 'debug',
          service: 'test',
          destination: { write: (line: string) => void this.log.push(JSON.parse(line)) },
        }),
        metrics,
        grpcServer: { addService: () => undefined as never },
        connect: ({ name }) => this.gateways.find((gateway) => gateway.name === name)?.port() ?? null,
      },
    );
    this.replicas.add(volconf);
    this.leases.set(volconf, lease);
    this.#metrics.set(volconf, metrics);
    await volconf.start();
    return volconf;
  }

  /** The store of operators' targets, which cannot be watched while it is away. */
  #readable(kv: KeyValue): KeyValue {
    return {
      get: (key) => kv.get(key),
      put: (key, value) => kv.put(key, value),
      create: (key, value) => kv.create(key, value),
      update: (key, value, revision) => kv.update(key, value, revision),
      delete: (key, revision) => kv.delete(key, revision),
      keys: () => kv.keys(),
      watch: async (fn, key) => {
        if (this.targetsAway) throw new BusError('unavailable', 'no server');
        return kv.watch(fn, key);
      },
    };
  }

  /** What a replica measures. */
  metricsOf(volconf: Volconf): Metrics {
    const metrics = this.#metrics.get(volconf);
    if (metrics === undefined) throw new Error('no replica of this world');
    return metrics;
  }

  /** Operators' targets as they are in the store. */
  readonly targets = {
    put: async (name: string, path: string): Promise<void> => {
      const kv = await this.bus.kv(TARGETS_BUCKET);
      await kv.put(name, new TextEncoder().encode(JSON.stringify({ path, dialect: 'auto' })));
    },
    remove: async (name: string): Promise<void> => (await this.bus.kv(TARGETS_BUCKET)).delete(name),
  };

  /** Stops a replica in order: it releases the lease. */
  async stopReplica(volconf: Volconf): Promise<void> {
    this.replicas.delete(volconf);
    this.leases.delete(volconf);
    this.excuseCut();
    await this.#while(volconf.stop());
  }

  /** A volume writes the copy of a slot. */
  volconf(gateway: FakeGateway, lnkConn: number, index: number, copy: Uint8Array): void {
    gateway.volconf(lnkConn, index, copy);
  }

  /** Lets time pass in small steps. Meanwhile gateways remain in the registry. */
  async advance(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    await settle();
    while (this.clock.now() < end) {
      const next = this.clock.nextAt() ?? end;
      // Goes directly to the next due time, but not past several due times at once.
      const to = Math.min(end, Math.max(next, this.clock.now()), this.#renewAt, this.clock.now() + STEP_MS * 20);
      this.clock.advance(Math.max(0, to - this.clock.now()) || Math.min(STEP_MS, end - this.clock.now()));
      if (this.clock.now() >= this.#renewAt) await this.#renew();
      await settle();
      if (!this.allHeard) this.excuseCut();
    }
  }

  /** Connections of all gateways: `owner host:port`, sorted. */
  connections(): string[] {
    return this.gateways.flatMap(({ connections }) => connections).toSorted();
  }

  async stop(): Promise<void> {
    for (const volconf of this.replicas) await this.#while(volconf.stop());
    await this.bus.close();
  }

  /** Call when another leader may begin: it cannot ask gateways that are cut off. */
  excuseCut(): void {
    for (const gateway of this.gateways) {
      if (!gateway.cut && !this.unregistered.has(gateway)) continue;
      this.excused.add(gateway.process);
    }
  }

  /** Whether there is a leader that has heard all existing gateways. */
  get allHeard(): boolean {
    const terms = [...this.replicas].flatMap(({ term }) => (term === null ? [] : [term]));
    return terms.length === 1 && terms[0]!.fleet.allHeard;
  }

  /** Ends all excuses once all gateways are back and the leader has no leftovers to hang up. */
  excuseNoMore(): void {
    const isWhole = this.gateways.every((gateway) => !gateway.cut) && this.unregistered.size === 0 && this.allHeard;
    if (!isWhole) return;
    const { term } = this.leader;
    const isQuiet =
      term!.fleet.size === this.gateways.length &&
      [...term!.reconciler.targets()].every(({ leftovers }) => leftovers.size === 0);
    if (isQuiet) this.excused.clear();
  }

  /** Call when a gateway is also cut off from the registry. */
  excuse(gateway: FakeGateway): void {
    this.excused.add(gateway.process);
  }

  #count(): void {
    const seen = new Map<string, string>();
    for (const gateway of this.gateways) {
      for (const [owner, { up }] of gateway.owners) {
        if (up === null || this.excused.has(gateway.process)) continue;
        const before = seen.get(owner);
        if (before !== undefined) this.doubles.push(`${owner} at ${before} and ${gateway.id}, ${this.clock.now()} ms`);
        seen.set(owner, gateway.id);
      }
    }
  }

  async #renew(): Promise<void> {
    this.#renewAt = this.clock.now() + 1000;
    const kv = await this.bus.kv(GATEWAYS_BUCKET);
    for (const gateway of this.gateways) {
      const { name, boot, firstBoot } = gateway;
      if (this.unregistered.has(gateway)) {
        const since = this.#silentSince.get(gateway) ?? this.clock.now();
        this.#silentSince.set(gateway, since);
        if (this.clock.now() - since >= SILENT_MS) await kv.delete(name);
        continue;
      }
      this.#silentSince.delete(gateway);
      const record = {
        name,
        boot: `b${boot}`,
        firstBoot: `b${firstBoot}`,
        serviceAddress: '127.0.0.1:1',
        version: '0',
        draining: this.draining.has(gateway),
      };
      await kv.put(name, new TextEncoder().encode(JSON.stringify(record)));
    }
  }

  /** Lets time pass until the promise is settled. */
  async #while(done: Promise<void>): Promise<void> {
    let isDone = false;
    void done.finally(() => {
      isDone = true;
    });
    await settle();
    while (!isDone) await this.advance(STEP_MS);
    await done;
  }
}

/** Waits until all work that needs no time is done. */
export async function settle(): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A random generator that repeats its numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
