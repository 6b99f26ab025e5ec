import type { Bus } from '@spanmesh/runtime/bus/bus';
import { eventSubject } from '@spanmesh/runtime/bus/bus-names';
import { visible } from './reconciler.ts';
import type { Target } from './slots/target.ts';

/** Kind of the news about targets on the bus. */
export const TARGET_EVENTS = 'target';
const encoder = new TextEncoder();

/** What subscribers get, as JSON: hints, that may be lost. */
export interface TargetEvent {
  /** Name of the target (volconf.proto, Target). */
  readonly name: string;
  readonly state: 'stopped' | 'connect' | 'running' | 'removed';
  /** Id of the gateway; empty: none. */
  readonly gateway: string;
  readonly error: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** `events.target.<gateway>`; `none` if no gateway is concerned. A bus that is closed takes none: no harm. */
export function publishTarget(
  bus: Bus,
  name: string,
  target: Target | null,
  { wall: at, idOf }: { wall: number; idOf: (gateway: string) => string },
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
