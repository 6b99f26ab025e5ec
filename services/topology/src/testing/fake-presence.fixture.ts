import { gatewayId, nameOf } from '@spanmesh/proto/gateway-id';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import { type Living, type Missed, SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import type { Presence } from '../attach/presence.ts';

/** The registry and the signs of life, controlled by the test. A gateway in `alive` gives a sign at every moment. */
export class FakePresence implements Presence {
  readonly records = new Map<string, GatewayRecord>();
  readonly alive = new Set<string>();
  /** For processes that are not alive any more: when the last sign of life came. */
  readonly signs = new Map<string, number>();
  /** Service ports of topology replicas that give signs of life. */
  readonly replicas: string[] = [];
  /** Other processes that existed and give no sign of life any more. */
  readonly silent: Missed[] = [];
  isComplete = true;
  /** Since when signs of any process have come, by the leader's clock; null: none come. */
  flowingSince: number | null = 0;
  clock = new FakeClock();
  /** Called when the registry has changed. */
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

  /** The gateway gives no signs of life any more. */
  silence(name: string): void {
    const record = this.records.get(name);
    if (record !== undefined) this.signsEnd(gatewayId(record));
  }

  /** Ends the signs of life of an id, whether it is in the registry or not. */
  signsEnd(id: string): void {
    if (this.alive.delete(id)) this.signs.set(id, this.clock.now());
  }

  #changed(): void {
    for (const changed of this.listeners) changed();
  }
}
