import { apiDialect } from '@spanmesh/proto/dialect';
import { type Slot as ApiSlot, type Target as ApiTarget, TargetOrigin, TargetState } from '@spanmesh/proto/v1/volconf';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { Target } from './reconciler/target.ts';
import { visible } from './reconciler/target.ts';
import type { Slot } from './slots/slot.ts';
import type { OperatorTarget, WantedTarget } from './targets/wanted-targets.ts';

const ORIGINS = {
  operator: TargetOrigin.TARGET_ORIGIN_OPERATOR,
  autoconn: TargetOrigin.TARGET_ORIGIN_AUTOCONN,
} as const;

const STATES = {
  stopped: TargetState.TARGET_STATE_STOPPED,
  connect: TargetState.TARGET_STATE_CONNECT,
  running: TargetState.TARGET_STATE_RUNNING,
} as const;

/** The present by both clocks: future times are kept on the monotonic clock, and shown on the wall clock. */
export interface Times {
  readonly now: number;
  readonly wall: number;
}

/** The time of showing a target, and the ids of gateways. */
export interface View extends Times {
  /** The current id of a gateway. */
  readonly idOf: (gateway: GatewayKey) => string;
}

/** A slot in the terms of the API. */
export function showSlot(slot: Slot, view: View): ApiTarget {
  const target = slot.target!;
  return {
    ...common(target, view),
    name: slot.name,
    origin: TargetOrigin.TARGET_ORIGIN_SLOT,
    path: slot.copy.path,
    dialect: apiDialect(slot.dialect),
    lastError: slot.problem || target.lastError,
    slot: fieldsOf(slot),
  };
}

/** A target of an operator, or of the autoconn file, in the terms of the API. */
export function showOperator({ name, path, dialect, origin }: WantedTarget, target: Target, view: View): ApiTarget {
  return {
    ...common(target, view),
    name,
    origin: ORIGINS[origin],
    path,
    dialect: apiDialect(dialect),
    slot: undefined,
  };
}

/** A target that this replica only keeps in the store; the leader connects it. */
export function showStored({ name, path, dialect }: OperatorTarget, { wall }: Times): ApiTarget {
  return {
    name,
    origin: TargetOrigin.TARGET_ORIGIN_OPERATOR,
    path,
    state: TargetState.TARGET_STATE_CONNECT,
    since: new Date(wall),
    dialect: apiDialect(dialect),
    gateway: '',
    connection: '',
    remoteAddress: '',
    lastError: '',
    lastErrorAt: undefined,
    attempts: 0,
    nextTry: undefined,
    slot: undefined,
    generation: 0,
  };
}

function common(target: Target, { now, wall, idOf }: View) {
  const { state } = target;
  const running = state.kind === 'running' ? state : null;
  const placed = state.kind === 'running' || state.kind === 'dialling' ? state.placed : null;
  const gateway = placed === null ? '' : idOf(placed.gateway);
  return {
    state: STATES[visible(state.kind)],
    since: new Date(target.since),
    gateway,
    connection: running === null ? '' : `${gateway}:${running.connection}`,
    remoteAddress: running?.remoteAddress ?? '',
    lastError: target.lastError,
    lastErrorAt: target.lastErrorAt === 0 ? undefined : new Date(target.lastErrorAt),
    attempts: target.attempts,
    nextTry: state.kind === 'waiting' ? new Date(wall + Math.max(0, state.at - now)) : undefined,
    generation: target.generation,
  };
}

function fieldsOf(slot: Slot): ApiSlot {
  const { copy } = slot;
  return {
    mediaId: slot.mediaId,
    index: slot.index,
    copyId: copy.copyId,
    inprog: copy.inprog,
    flags: copy.flags,
    error: copy.error,
    priority: copy.priority,
    remotePfsType: copy.remotePfsType,
    clusterId: copy.pfsClid,
    label: copy.label,
    heldBack: slot.heldBack,
    pending: slot.pending !== null,
  };
}
