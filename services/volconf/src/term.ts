import type { DialledUp, WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { Explained, TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import { Fleet } from './gateways/fleet.ts';
import type { GatewayLink, LinkSink } from './gateways/gateway-link.ts';
import type { GatewayPort, OrderError } from './gateways/gateway-port.ts';
import { Reconciler } from './reconciler/reconciler.ts';
import type { Target, TargetState } from './reconciler/target.ts';
import type { VolconfSettings } from './settings.ts';
import { Groups } from './slots/groups.ts';
import { type MediaSink, MediaTable, type SlotFault } from './slots/media.ts';
import type { Slot } from './slots/slot.ts';
import { parseSpanPath } from './slots/span-path.ts';
import type { WantedTarget, WantedTargets } from './targets/wanted-targets.ts';

/** Is told when a target, as people see it, has changed or is gone. */
export interface TermSink {
  /** A target has gone from one state to another. */
  became(name: string, target: Target, was: TargetState['kind']): void;
  slot(slot: Slot, was: TargetState['kind'] | null): void;
  slotGone(slot: Slot): void;
  operator(name: string, target: Target, was: TargetState['kind'] | null): void;
  operatorGone(name: string): void;
  /** A gateway has heard of a later leader than us. */
  staleEpoch(heard: number): void;
}

export interface TermDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly present: () => Iterable<GatewayRecord>;
  readonly connect: (record: GatewayRecord) => GatewayPort | null;
  /** Since when the lease has been valid without a break, monotonic; null: it is not. */
  readonly leadingSince: () => number | null;
  /** Operators' targets, and those of the autoconn file. */
  readonly operators: WantedTargets;
  readonly sink: TermSink;
}

/** An operator's target in a term. */
interface Operated {
  readonly asked: WantedTarget;
  readonly target: Target;
}

/** Tables that have entries when all that filled them is gone. */
export const KEPT: Explained = {
  gateways: 'they are there whether peers ask for something or not',
};

/**
 * Everything that a leader knows and does under one epoch. It begins with nothing: media, slots and connections come from the
 * gateways (architecture.md, "Who owns what"), and with it ends what is under way, not established connections.
 */
export class Term implements LinkSink, MediaSink {
  readonly epoch: number;
  readonly media: MediaTable;
  readonly reconciler: Reconciler;
  readonly fleet: Fleet;
  slotsIgnored = 0;

  readonly #settings: VolconfSettings;
  readonly #deps: TermDependencies;
  readonly #slotOf = new Map<Target, Slot>();
  readonly #operatorOf = new Map<Target, string>();
  readonly #operators = new Map<string, Operated>();
  readonly #groups: Groups;
  /** Owners of connections that the snapshot being read has named, by gateway. */
  readonly #standing = new Map<string, Set<string>>();
  #judged = false;

  constructor({ epoch, settings }: { epoch: number; settings: VolconfSettings }, deps: TermDependencies) {
    this.epoch = epoch;
    this.#settings = settings;
    this.#deps = deps;
    const { clock, random, sink } = deps;
    this.media = new MediaTable({ maxSlots: settings.volconfMaxSlots }, { sink: this, clock });
    this.fleet = new Fleet(
      { epoch },
      {
        ...deps,
        sink: this,
        gone: (link) => this.#gatewayGone(link),
        renamed: (link) => this.#gatewayRenamed(link),
        recheck: () => this.check(),
      },
    );
    this.#groups = new Groups(
      { policy: settings.volconfPolicy },
      { shown: (slot) => slot.target !== null && sink.slot(slot, slot.target.state.kind) },
    );
    this.reconciler = new Reconciler(
      {
        epoch,
        connectTimeout: settings.volconfConnectTimeout,
        answerTimeout: settings.volconfAnswerTimeout,
        retryFirst: settings.volconfRetryFirst,
        retryMax: settings.volconfRetryMax,
        stableAfter: settings.volconfStableAfter,
        maxDials: settings.volconfMaxDials,
      },
      {
        clock,
        random,
        gateways: this.fleet,
        mayOrder: () => deps.leadingSince() !== null,
        mayDial: () => this.fleet.gathered,
        allHeard: () => this.#allHeard,
        wishes: () => this.#groups.wishes(),
        changed: (target, was) => this.#changed(target, was),
        staleEpoch: (heard) => sink.staleEpoch(heard),
      },
    );
  }

  /** Entries of every table of the term. What may be left when all media and operators' targets are gone: `KEPT`. */
  tables(): TableSizes {
    return {
      ...this.media.tables(),
      ...this.reconciler.tables(),
      slotsOfTargets: this.#slotOf.size,
      operatorsOfTargets: this.#operatorOf.size,
      operators: this.#operators.size,
      ...this.#groups.tables(),
      snapshotsBeingRead: this.#standing.size,
      gateways: this.fleet.size,
    };
  }

  start(): void {
    for (const { name } of this.#deps.operators.all()) this.operatorChanged(name);
    this.check();
  }

  /** The registry, the lease or the store has changed. */
  check(): void {
    this.fleet.check();
    this.#judge();
    this.reconciler.resume();
  }

  close(): void {
    this.reconciler.close();
    this.fleet.close();
  }

  operators(): Iterable<[string, Target]> {
    return [...this.#operators].map(([name, { target }]) => [name, target] as [string, Target]);
  }

  operator(name: string): { readonly asked: WantedTarget; readonly target: Target } | undefined {
    return this.#operators.get(name);
  }

  /** An operator has set or removed a target. */
  operatorChanged(name: string): void {
    const { operators, sink } = this.#deps;
    const asked = operators.get(name);
    const before = this.#operators.get(name);
    if (asked === before?.asked) return;
    if (asked === undefined) {
      if (before === undefined) return;
      this.#operators.delete(name);
      this.#operatorOf.delete(before.target);
      this.reconciler.drop(before.target);
      sink.operatorGone(name);
      return;
    }
    const target = this.reconciler.target(name, name);
    target.begin();
    target.shown = true;
    this.#operators.set(name, { asked, target });
    target.byOperator = true;
    this.#operatorOf.set(target, name);
    const address = parseSpanPath(asked.path, this.#settings.volconfPort);
    const known = target.state.kind;
    this.reconciler.want(target, address === null ? null : { ...address, dialect: asked.dialect });
    sink.operator(name, target, before === undefined ? null : known);
  }

  begin({ key }: GatewayLink): void {
    this.media.begin(key);
    this.#standing.set(key, new Set());
  }

  /** In the order of dial.proto, WatchMedia. */
  message(link: GatewayLink, response: WatchMediaResponse): void {
    const { key } = link;
    const { clockUs } = response;
    for (const lnkConn of response.opened) this.media.opened(key, lnkConn, clockUs);
    for (const slot of response.slots) this.media.received(key, slot, clockUs);
    for (const lnkConn of response.closed) this.media.closed(key, lnkConn);
    for (const up of response.up) this.#up(key, up);
    for (const down of response.down) {
      // It may say so before the registry does.
      if (down.gatewayStops) link.draining = true;
      this.reconciler.down(key, down, down.reason);
    }
  }

  live({ id, key }: GatewayLink): void {
    this.media.complete(key);
    const standing = this.#standing.get(key) ?? new Set();
    this.#standing.delete(key);
    this.reconciler.snapshot(key, standing);
    this.#deps.logger.info({ gateway: id, connections: standing.size }, 'gateway is watched');
    this.check();
  }

  broken({ id }: GatewayLink, error: OrderError): void {
    if (error.code === 'stale-epoch') {
      this.#deps.sink.staleEpoch(error.epoch);
      return;
    }
    const { log, suppressed } = this.#deps.throttle.admit(`watch ${id}`);
    if (log) this.#deps.logger.info({ gateway: id, why: error.message, suppressed }, 'gateway cannot be watched');
    this.fleet.check();
  }

  slotChanged(slot: Slot): void {
    slot.interpret(this.#settings.volconfPort);
    const isNew = slot.target === null;
    const target = slot.target ?? this.reconciler.target(slot.owner, slot.label);
    if (slot.target === null) target.principal = slot.principal;
    target.begin();
    target.shown = true;
    target.label = slot.label;
    target.mediaId = slot.mediaId;
    slot.target = target;
    this.#slotOf.set(target, slot);
    this.#groups.put(slot);
    this.reconciler.reconsider();
    // The policy has not wished for anything: it is stopped, if only to be started anew.
    if (slot.destination === null) this.reconciler.want(target, null);
    if (target.leftovers.size === 0) slot.settle();
    this.#deps.sink.slot(slot, isNew ? null : target.state.kind);
  }

  slotGone(slot: Slot): void {
    const target = slot.target!;
    this.#groups.remove(slot);
    this.reconciler.reconsider();
    this.#slotOf.delete(target);
    this.reconciler.drop(target);
    this.#deps.sink.slotGone(slot);
  }

  ignored(gateway: GatewayKey, fault: SlotFault, principal: string): void {
    this.slotsIgnored++;
    const { log, suppressed } = this.#deps.throttle.admit(`slot ${fault} ${principal}`);
    if (log) this.#deps.logger.warn({ gateway, principal, fault, suppressed }, 'LNK_VOLCONF ignored');
  }

  get #allHeard(): boolean {
    return this.fleet.allHeard && this.#deps.operators.loaded;
  }

  /** Each time that everybody has been heard: what nobody wants ends. */
  #judge(): void {
    const all = this.#allHeard;
    if (all && !this.#judged) this.reconciler.hangUpUnwanted();
    this.#judged = all;
  }

  #up(gateway: GatewayKey, up: DialledUp): void {
    this.#standing.get(gateway)?.add(up.owner);
    this.reconciler.up(gateway, up);
  }

  #gatewayGone({ id, key }: GatewayLink): void {
    this.#standing.delete(key);
    this.#deps.logger.info({ gateway: id }, 'gateway is gone');
    this.media.gone(key);
    this.reconciler.gone(key);
    this.#judge();
  }

  #gatewayRenamed({ id, key }: GatewayLink): void {
    this.#deps.logger.info({ gateway: id }, 'gateway goes on under another id');
    this.reconciler.renamed(key);
  }

  #changed(target: Target, was: TargetState['kind']): void {
    const slot = this.#slotOf.get(target);
    if (slot !== undefined) {
      this.#deps.sink.became(slot.name, target, was);
      if (target.leftovers.size === 0) slot.settle();
      this.#deps.sink.slot(slot, was);
      this.#groups.noteState(slot);
      return;
    }
    const name = this.#operatorOf.get(target);
    if (name === undefined) return;
    this.#deps.sink.became(name, target, was);
    this.#deps.sink.operator(name, target, was);
  }
}
