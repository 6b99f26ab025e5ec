import { EventKind } from '@spanmesh/proto/v1/events';
import { formatHostPort } from '@spanmesh/runtime/address';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { eventSubject } from '@spanmesh/runtime/bus/bus-names';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { Target, TargetState } from './reconciler/target.ts';
import { visible } from './reconciler/target.ts';

/** Kind of the events about targets on the bus. */
export const TARGET_EVENTS = 'target';
const encoder = new TextEncoder();

/** An event for subscribers of the bus, as JSON. Events are hints, and may be lost. */
export interface TargetEvent {
  /** Name of the target (volconf.proto, Target). */
  readonly name: string;
  readonly state: 'stopped' | 'connect' | 'running' | 'removed';
  /** Id of the gateway; empty: none. */
  readonly gateway: GatewayKey;
  readonly error: string;
  /** When the event happened, milliseconds since 1970. */
  readonly at: number;
}

/**
 * Publishes `events.target.<gateway>`, or with `none` if no gateway is concerned. A closed bus drops the event, which
 * does no harm.
 */
export function publishTarget(
  bus: Bus,
  name: string,
  target: Target | null,
  { wall: at, idOf }: { wall: number; idOf: (gateway: GatewayKey) => string },
): void {
  const state = target?.state;
  const gateway = state?.kind === 'running' || state?.kind === 'dialling' ? idOf(state.placed.gateway) : '';
  const event: TargetEvent = {
    name,
    state: state === undefined ? 'removed' : visible(state.kind),
    gateway,
    error: target?.failing === true ? target.lastError : '',
    at,
  };
  try {
    bus.publish(eventSubject(TARGET_EVENTS, gateway || 'none'), encoder.encode(JSON.stringify(event)));
  } catch {
    // Events are hints: a lost one does no harm.
  }
}

/**
 * Reports changes of a target to people: that it is dialled (once), that it is connected, and that it fails (with a
 * count of repetitions).
 */
export function tellTarget(
  events: EventTeller,
  name: string,
  target: Target,
  { was, idOf }: { readonly was: TargetState['kind']; readonly idOf: (gateway: GatewayKey) => string },
): void {
  const { state, wanted, principal: owner, attempts, failing, lastError } = target;
  if (state.kind === was) return;
  const told = (kind: EventKind, gateway: GatewayKey, error: string): void => {
    const address = wanted === null ? '' : formatHostPort(wanted);
    const happened = { kind, subject: name, principal: owner || name, target: { address, gateway, error } };
    events.tell(happened, error === '' ? {} : { repeats: name });
  };
  if (state.kind === 'dialling' && attempts === 1) {
    told(EventKind.EVENT_KIND_TARGET_CONNECTING, idOf(state.placed.gateway), '');
  } else if (state.kind === 'running') told(EventKind.EVENT_KIND_TARGET_UP, idOf(state.placed.gateway), '');
  else if (state.kind === 'waiting' && failing) told(EventKind.EVENT_KIND_TARGET_FAILED, '', lastError);
}
