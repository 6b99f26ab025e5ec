import { gatewayName } from '@spanmesh/proto/gateway-id';
import { type MissingProcess, ProcessKind } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import type { LivingKind } from '@spanmesh/runtime/gateways/signs-of-life';
import type { Presence } from './presence.ts';
import type { Reaper } from './reaper.ts';
import type { Roster } from './roster.ts';

/** The most missing processes that are shown (topology.proto, GetStatusResponse). */
export const MAX_MISSING = 256;

const KINDS: Readonly<Record<LivingKind, ProcessKind>> = {
  'link-gateway': ProcessKind.PROCESS_KIND_LINK_GATEWAY,
  topology: ProcessKind.PROCESS_KIND_TOPOLOGY,
  volconf: ProcessKind.PROCESS_KIND_VOLCONF,
};

/**
 * Processes that existed, have not said that they stop, and are not there now. A leader knows gateways by their
 * streams; every replica knows all processes by their signs of life.
 */
export function missingProcesses({
  roster,
  reaper,
  presence,
  clock,
  inTerm,
}: {
  readonly roster: Pick<Roster, 'silent'>;
  readonly reaper: Pick<Reaper, 'dead'>;
  readonly presence: Pick<Presence, 'missed'>;
  readonly clock: Clock;
  /** Whether this replica leads. */
  readonly inTerm: boolean;
}): MissingProcess[] {
  const now = clock.now();
  const missing: MissingProcess[] = [];
  const gateways = (ids: Iterable<{ readonly id: string; readonly since: number }>, dead: boolean): void => {
    const kind = ProcessKind.PROCESS_KIND_LINK_GATEWAY;
    for (const { id, since } of ids) {
      missing.push({ kind, id, name: gatewayName(id)?.name ?? '', missingMs: now - since, dead });
    }
  };
  if (inTerm) {
    gateways(
      [...roster.silent()].map(({ id, silentSince }) => ({ id, since: silentSince })),
      false,
    );
    gateways(reaper.dead(), true);
  }
  for (const { kind, id, name, since } of presence.missed()) {
    if (inTerm && kind === 'link-gateway') continue;
    missing.push({ kind: KINDS[kind], id, name, missingMs: now - since, dead: false });
  }
  missing.sort((a, b) => a.kind - b.kind || (a.name < b.name ? -1 : 1));
  return missing.slice(0, MAX_MISSING);
}
