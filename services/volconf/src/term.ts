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

/** Receives the changes of targets that users can see. */
export interface TermSink {
  /** A target has changed its state. */
  became(name: string, target: Target, was: TargetState['kind']): void;
  slot(slot: Slot, was: TargetState['kind'] | null): void;
  slotGone(slot: Slot): void;
  operator(name: string, target: Target, was: TargetState['kind'] | null): void;
  operatorGone(name: string): void;
  /** A gateway has heard of a later leader than this one. */
  staleEpoch(heard: number): void;
}

export interface TermDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly present: () => Iterable<GatewayRecord>;
  readonly connect: (record: GatewayRecord) => GatewayPort | null;
  /** When the lease became valid for the last time, by the monotonic clock; null: it is not valid. */
  readonly leadingSince: () => number | null;
  /** Targets of operators and of the autoconn file. */
  readonly operators: WantedTargets;
  readonly sink: TermSink;
}

/** An operator's target (or the autoconn file's), and the Target that keeps it connected. */
interface Operated {
  readonly asked: WantedTarget;
  readonly target: Target;
}

/** Tables that may have entries after all media and operators' targets have gone, and why. */
export const KEPT: Explained = {
  gateways: 'gateways stay listed without any slot or target',
};

/**
 * Everything that a leader knows and does under one epoch. A term begins empty: media, slots and connections come from
 * the gateways (architecture.md, "Who owns what"). When it ends, attempts under way end with it, established
 * connections do not.
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
  /** By gateway: owners of connections named so far in the snapshot that is being received. */
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

  /**
   * Sizes of all tables of the term. `KEPT` names those that may have entries after all media and operators' targets
   * have gone.
   */
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

  /** Call when the registry, the lease or the store has changed. */
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

  /** Takes a message of a watch; its parts are processed in the order that dial.proto gives (WatchMedia). */
  message(link: GatewayLink, response: WatchMediaResponse): void {
    const { key } = link;
    const { clockUs } = response;
    for (const lnkConn of response.opened) this.media.opened(key, lnkConn, clockUs);
    for (const slot of response.slots) this.media.received(key, slot, clockUs);
    for (const lnkConn of response.closed) this.media.closed(key, lnkConn);
    for (const up of response.up) this.#up(key, up);
    for (const down of response.down) {
      // The gateway may report that it stops before the registry shows it.
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
    // The policy has made no wish for a slot without a destination, so it is stopped here.
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

  /** Hangs up unwanted connections whenever all gateways have become loaded. */
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
