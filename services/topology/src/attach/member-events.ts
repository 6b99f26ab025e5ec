import { EventKind, type MemberEvent } from '@spanmesh/proto/v1/events';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import type { Living, LivingKind } from '@spanmesh/runtime/gateways/signs-of-life';
import type { Presence } from './presence.ts';

/** Replicas that are remembered. In a larger installation some of them are reported twice. */
const MAX_REPLICAS = 256;
const REPLICA_KINDS = ['topology', 'volconf'] as const satisfies readonly LivingKind[];

/** A gateway as it appears in events. */
export interface GatewayMember {
  readonly id: string;
  readonly serviceAddress: string;
  readonly version: string;
}

export interface MemberEventsDependencies {
  readonly events: EventTeller;
  readonly presence: Pick<Presence, 'living' | 'missed'>;
}

/** Reports events about gateways, replicas, and the leadership of this replica. */
export class MemberEvents {
  readonly #deps: MemberEventsDependencies;
  /** Gateways of the previous leader: that they attach to this one is not reported. */
  #inherited = new Set<string>();
  /** Ids of gateways whose stream has ended. */
  readonly #lost = new Set<string>();
  /** Living replicas of topology and volconf, by kind and address. */
  readonly #replicas = new Map<string, Living>();

  constructor(deps: MemberEventsDependencies) {
    this.#deps = deps;
  }

  /** This replica leads from now on. `gateways`: ids of the previous leader's gateways, as far as they are known. */
  termBegins({
    address,
    epoch,
    gateways,
  }: {
    readonly address: string;
    readonly epoch: number;
    readonly gateways: Iterable<string>;
  }): void {
    this.#inherited = new Set(gateways);
    this.#lost.clear();
    this.#replicas.clear();
    for (const one of this.#living()) this.#replicas.set(keyOf(one), one);
    this.#tell(EventKind.EVENT_KIND_LEADER_CHANGED, `topology at ${address}`, { address, epoch, service: 'topology' });
  }

  gatewayAttached({ id, serviceAddress: address, version }: GatewayMember): void {
    if (this.#inherited.delete(id)) return;
    const reason = this.#lost.delete(id) ? 'it has attached again' : '';
    const member = { address, version, reason, service: 'link-gateway' };
    this.#tell(EventKind.EVENT_KIND_GATEWAY_JOINED, id, member, { isLogged: true });
  }

  gatewayLost(
    { id, serviceAddress: address, version }: GatewayMember,
    { goodbye }: { readonly goodbye: boolean },
  ): void {
    const reason = goodbye ? 'it stops' : 'its stream has broken';
    if (goodbye) this.#lost.delete(id);
    else this.#lost.add(id);
    const member = { address, version, reason, service: 'link-gateway' };
    this.#tell(EventKind.EVENT_KIND_GATEWAY_LOST, id, member, { isLogged: true });
  }

  gatewayDead(id: string, silentMs: number): void {
    this.#lost.delete(id);
    this.#inherited.delete(id);
    const reason = `it has been silent for ${Math.round(silentMs / 1000)} s`;
    this.#tell(EventKind.EVENT_KIND_GATEWAY_DEAD, id, { reason, service: 'link-gateway' }, { isLogged: true });
  }

  /** Reports replicas that have appeared or gone since the last call. Call it regularly while this replica leads. */
  look(): void {
    const living = new Map(this.#living().map((one) => [keyOf(one), one]));
    for (const [key, one] of living) {
      if (this.#replicas.has(key) || this.#replicas.size >= MAX_REPLICAS) continue;
      this.#replicas.set(key, one);
      this.#tellReplica(EventKind.EVENT_KIND_REPLICA_JOINED, one, '');
    }
    const missed = new Set(this.#deps.presence.missed().map(keyOf));
    for (const [key, one] of this.#replicas) {
      if (living.has(key)) continue;
      this.#replicas.delete(key);
      const reason = missed.has(key) ? 'it gives no sign of life' : 'it stops';
      this.#tellReplica(EventKind.EVENT_KIND_REPLICA_LOST, one, reason);
    }
  }

  #living(): Living[] {
    return REPLICA_KINDS.flatMap((kind) => [...this.#deps.presence.living(kind)]);
  }

  #tellReplica(kind: EventKind, { kind: service, name: address }: Living, reason: string): void {
    this.#tell(kind, `${service} at ${address}`, { address, reason, service });
  }

  #tell(
    kind: EventKind,
    subject: string,
    { address = '', epoch = 0, version = '', reason = '', service = '' }: Partial<MemberEvent>,
    options: { readonly isLogged?: boolean } = {},
  ): void {
    const member = { address, epoch, version, reason, service };
    this.#deps.events.tell({ kind, subject, principal: subject, member }, options);
  }
}

function keyOf({ kind, name }: Living): string {
  return `${kind} ${name}`;
}
