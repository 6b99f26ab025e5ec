import { gatewayId } from '@spanmesh/proto/gateway-id';
import {
  type GetStatusResponse,
  type MissingProcess,
  ProcessKind,
  RefusalCause,
  type RefusedProcess,
} from '@spanmesh/proto/v1/topology';
import { ageText } from '../output/age-text.ts';
import { printable } from '../output/printable.ts';

/** What to do about a process that was refused, by the cause. */
const REMEDIES: Readonly<Partial<Record<RefusalCause, string>>> = {
  [RefusalCause.REFUSAL_CAUSE_NAME_TAKEN]: 'give each gateway a SPANMESH_GATEWAY_NAME of its own',
  [RefusalCause.REFUSAL_CAUSE_OTHER_INSTALLATION]: 'set SPANMESH_INSTALLATION to the same name in all processes',
  [RefusalCause.REFUSAL_CAUSE_VERSION]: 'finish the upgrade, one version at a time (docs/scaling.md)',
  [RefusalCause.REFUSAL_CAUSE_EPOCH]: 'restart it: what it has heard of a leader cannot be',
  [RefusalCause.REFUSAL_CAUSE_TOO_MANY]: 'stop gateways that are not needed',
  [RefusalCause.REFUSAL_CAUSE_SETTINGS]: 'give all topology replicas the same settings',
  [RefusalCause.REFUSAL_CAUSE_NOT_ALLOWED]: 'give it a certificate for its own name (docs/tls.md)',
};

/**
 * Processes that are missing, a sentence each. A missing gateway that the table of gateways still shows is reported
 * with the gateways.
 */
export function missingProblems({ missing, gateways }: GetStatusResponse): string[] {
  const shown = new Set(gateways.map(gatewayId));
  return missing
    .filter(({ kind, id }) => kind !== ProcessKind.PROCESS_KIND_LINK_GATEWAY || !shown.has(id))
    .map((process) => {
      const fate = process.dead ? ': declared dead, what it held has been given up' : '';
      return `${nameOf(process)} is missing for ${ageText(Math.round(process.missingMs / 1000))}${fate}`;
    });
}

/** Processes that topology has refused and not accepted since, a sentence each. */
export function refusedProblems({ refused }: GetStatusResponse): string[] {
  return refused.map((process) => {
    const remedy = REMEDIES[process.cause] ?? '';
    return (
      `${nameOf(process)} is refused, ${process.times}×, last ${ageText(Math.round(process.ageMs / 1000))} ago: ` +
      `${printable(process.details)}${remedy === '' ? '' : ` To do: ${remedy}.`}`
    );
  });
}

function nameOf({ kind, name }: Pick<MissingProcess | RefusedProcess, 'kind' | 'name'>): string {
  const shown = printable(name);
  switch (kind) {
    case ProcessKind.PROCESS_KIND_LINK_GATEWAY:
      return `gateway ${shown}`;
    case ProcessKind.PROCESS_KIND_TOPOLOGY:
      return `the topology replica at ${shown}`;
    case ProcessKind.PROCESS_KIND_VOLCONF:
      return `the volconf replica at ${shown}`;
    default:
      return `a process, ${shown},`;
  }
}
