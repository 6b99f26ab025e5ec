import { EventKind } from '@spanmesh/proto/v1/events';
import { formatHostPort } from '@spanmesh/runtime/address';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { eventSubject } from '@spanmesh/runtime/bus/bus-names';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { Target, TargetState } from './reconciler/target.ts';
import { visible } from './reconciler/target.ts';

/** Kind of the news about targets on the bus. */
export const TARGET_EVENTS = 'target';
const encoder = new TextEncoder();

/** What subscribers get, as JSON: hints, that may be lost. */
export interface TargetEvent {
  /** Name of the target (volconf.proto, Target). */
  readonly name: string;
  readonly state: 'stopped' | 'connect' | 'running' | 'removed';
  /** Id of the gateway; empty: none. */
  readonly gateway: GatewayKey;
  readonly error: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** `events.target.<gateway>`; `none` if no gateway is concerned. A bus that is closed takes none: no harm. */
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
    // News only.
  }
}

/** Tells people what has become of a target: that it is tried, once; that it is connected; that it fails, with a count when that repeats. */
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
