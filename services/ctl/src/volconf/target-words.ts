import { type Target, TargetOrigin, TargetState } from '@spanmesh/proto/v1/volconf';
import type { Role } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import { dialectName, timeText } from '../views/words.ts';

const STATES = {
  [TargetState.TARGET_STATE_STOPPED]: 'stopped',
  [TargetState.TARGET_STATE_CONNECT]: 'connect',
  [TargetState.TARGET_STATE_RUNNING]: 'running',
} as const;

/** States as they are typed and printed. */
export const STATE_NAMES = Object.values(STATES);

/** A state as it is typed and printed: `stopped`, `connect`, `running`. */
export function stateName(state: TargetState): string {
  return (STATES as Partial<Record<number, string>>)[state] ?? '?';
}

/** The state with the name that was typed; undefined: all states. */
export function stateFilter(name: string | undefined): TargetState {
  switch (name) {
    case 'stopped':
      return TargetState.TARGET_STATE_STOPPED;
    case 'connect':
      return TargetState.TARGET_STATE_CONNECT;
    case 'running':
      return TargetState.TARGET_STATE_RUNNING;
    default:
      return TargetState.TARGET_STATE_UNSPECIFIED;
  }
}

export function originName(origin: TargetOrigin): string {
  switch (origin) {
    case TargetOrigin.TARGET_ORIGIN_SLOT:
      return 'slot';
    case TargetOrigin.TARGET_ORIGIN_OPERATOR:
      return 'operator';
    case TargetOrigin.TARGET_ORIGIN_AUTOCONN:
      return 'autoconn';
    default:
      return '?';
  }
}

/** The dialect that a target asks for; `auto` if whatever the peer speaks will do. */
export function targetDialect({ dialect }: Target): string {
  return dialect === 0 ? 'auto' : dialectName(dialect);
}

export function stateRole({ state }: Target): Role | undefined {
  if (state === TargetState.TARGET_STATE_RUNNING) return 'good';
  return state === TargetState.TARGET_STATE_CONNECT ? 'warn' : undefined;
}

export const TARGET_COLUMNS: readonly Column<Target>[] = [
  { heading: 'NAME', text: (t) => printable(t.name), role: () => 'node' },
  { heading: 'ORIGIN', narrow: 'omit', text: (t) => originName(t.origin) },
  { heading: 'PATH', text: (t) => printable(t.path) },
  { heading: 'DIALECT', narrow: 'omit', text: targetDialect },
  { heading: 'STATE', text: (t) => stateName(t.state), role: stateRole },
  { heading: 'SINCE', narrow: 'omit', text: (t) => timeText(t.since) },
  { heading: 'REMOTE', narrow: 'omit', text: (t) => printable(t.remoteAddress) },
  { heading: 'CONNECTION', narrow: 'omit', text: (t) => printable(t.connection || t.gateway) },
  { heading: 'TRIES', align: 'right', text: (t) => String(t.attempts) },
  { heading: 'LAST ERROR', narrow: 'cut', text: (t) => printable(t.lastError) },
];
