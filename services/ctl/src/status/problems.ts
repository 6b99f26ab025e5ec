import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { ListProcessesResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import { type GetStatusResponse, ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import { ageText } from '../output/age-text.ts';
import { printable } from '../output/printable.ts';
import { missingProblems, refusedProblems } from './absent.ts';
import { copiesProblems } from './copies.ts';
import { failingTargetsNote, type TriedTargets } from './failing-targets.ts';

/** The answers that `spanmesh status` works with. */
export interface Status {
  readonly topology: GetStatusResponse;
  /** null: the replica that was asked knows nothing of processes (an older release). */
  readonly processes: ListProcessesResponse | null;
  /** null: volconf did not answer. */
  readonly tried: TriedTargets | null;
}

/** A leader whose last renewal is older than this is reported, ms: leaders renew several times a second. */
export const LATE_LEASE_MS = 5000;
/** A standby whose copy is older than this is reported as far behind, ms. */
export const FAR_BEHIND_MS = 5000;

/** Everything that an operator should look at, a sentence each, the worst first; empty: the installation is well. */
export function problemsOf({ topology, processes }: Status): string[] {
  const all = processes?.processes ?? [];
  return [
    ...leaderProblems(topology),
    ...(processes?.alone === true
      ? [
          `NATS is away from ${printable(processes.answeredBy)}${sinceWhen(processes)}: others cannot be seen from there`,
        ]
      : []),
    ...copiesProblems(processes?.natsCopies ?? []),
    ...gatewayProblems(topology, all),
    ...missingProblems(topology),
    ...refusedProblems(topology),
    ...topology.replicas.flatMap(replicaProblems),
    ...volconfProblems(all),
    ...all.flatMap(processProblems),
    ...versionProblems(topology, all),
  ];
}

/** Sentences about conditions that are no fault but worth knowing. */
export function notesOf({ topology, processes, tried }: Status): string[] {
  const all = processes?.processes ?? [];
  const mayHaveStandby = all.some(({ service, usesNats }) => service === 'topology' && usesNats);
  const isAlone = topology.replicas.length === 1 && topology.leader !== undefined;
  return [
    ...(mayHaveStandby && isAlone
      ? [
          'topology has no standby: while its one replica is away, established connections and relays go on, but nothing new is relayed',
        ]
      : []),
    ...failingTargetsNote(tried),
    ...all.flatMap(limitNotes),
  ];
}

/**
 * Notes, not problems: the installation works, and the principal at a limit may be an attacker or somebody who needs a
 * higher limit.
 */
function limitNotes({ id, atLimits }: ProcessInfo): string[] {
  return atLimits.map(({ limit, principal, times, forSeconds, value, ofAll, withheld }) => {
    const bound = ofAll
      ? `of all ${value} ${printable(limit)} has most`
      : `has its share of ${printable(limit)}, ${value}`;
    const what = withheld
      ? `none of its links at other gateways is relayed there, for ${ageText(forSeconds)}`
      : `refused or closed ${times}× in ${ageText(forSeconds)}`;
    return `${printable(principal)} ${bound}, at ${printable(id)}: ${what}`;
  });
}

function leaderProblems({ leader, replicas }: GetStatusResponse): string[] {
  if (leader === undefined) {
    return [
      'no topology replica leads: established connections and relays go on, but new spans and connections are not relayed',
    ];
  }
  const late =
    leader.leaseAgeMs < LATE_LEASE_MS
      ? []
      : [
          `the lease of topology was not renewed for ${seconds(leader.leaseAgeMs)}: the leader at ${printable(leader.address)}, or its NATS, is away`,
        ];
  const takingOver = replicas
    .filter(({ role }) => role === ReplicaRole.REPLICA_ROLE_TAKING_OVER)
    .map(
      ({ address }) =>
        `the topology replica at ${printable(address)} takes over: it waits for the snapshots of gateways`,
    );
  const frozen = replicas
    .filter(({ role }) => role === ReplicaRole.REPLICA_ROLE_FROZEN)
    .map(
      ({ address, lagMs }) =>
        `the topology replica at ${printable(address)} has led and is frozen since ${seconds(lagMs)}: it cannot renew its lease, and commands nothing`,
    );
  return [...late, ...takingOver, ...frozen];
}

function gatewayProblems({ gateways, leader }: GetStatusResponse, processes: readonly ProcessInfo[]): string[] {
  const known = new Set(gateways.map(gatewayId));
  const strangers = processes
    .filter(({ gateway }) => gateway !== '' && !known.has(gateway))
    .map(({ gateway, id }) => `gateway ${printable(gateway)} runs (${printable(id)}), and topology does not know it`);
  if (gateways.length === 0 && strangers.length === 0 && leader !== undefined) {
    return ['no gateway is attached: no peer can connect'];
  }
  const away = gateways
    .filter(({ attached }) => !attached)
    .map(
      (gateway) =>
        `gateway ${printable(gatewayId(gateway))} is not attached: it is gone or cut off, what it held is kept for now`,
    );
  const unheard = gateways
    .filter(({ attached, unheardMs }) => attached && unheardMs > 0)
    .map(
      (gateway) =>
        `gateway ${printable(gatewayId(gateway))} is attached, and without NATS for ${ageText(Math.round(gateway.unheardMs / 1000))}: it works on; look for what has cut it off`,
    );
  const draining = gateways
    .filter((gateway) => gateway.draining)
    .map((gateway) => `gateway ${printable(gatewayId(gateway))} drains: it takes no new connections`);
  return [...away, ...unheard, ...strangers, ...draining];
}

function replicaProblems({ address, role, hasState, lagMs }: ReplicaStatus): string[] {
  if (role !== ReplicaRole.REPLICA_ROLE_STANDBY) return [];
  const who = `the topology standby at ${printable(address)}`;
  if (!hasState) return [`${who} has heard nothing of a leader yet`];
  return lagMs < FAR_BEHIND_MS ? [] : [`${who} is ${seconds(lagMs)} behind the leader`];
}

/** An installation may run without volconf; if it has volconf replicas, they must work. */
function volconfProblems(processes: readonly ProcessInfo[]): string[] {
  const replicas = processes.filter(({ service }) => service === 'volconf' || service === 'standalone');
  if (replicas.length === 0 || replicas.some(({ leads }) => leads.includes('volconf'))) return [];
  return ['no volconf replica leads: connections that volumes or operators ask for are not made anew'];
}

function processProblems({
  id,
  notReady,
  usesNats,
  natsConnected,
  natsForSeconds,
  keysProblems,
}: ProcessInfo): string[] {
  return [
    ...(notReady === '' ? [] : [`${printable(id)} is not ready: ${printable(notReady)}`]),
    ...(usesNats && !natsConnected ? [`${printable(id)} is without NATS${forHowLong(natsForSeconds)}`] : []),
    ...(keysProblems === 0
      ? []
      : [
          `${printable(id)} cannot use ${keysProblems} of the files of its keys directory as they are; its log names them`,
        ]),
  ];
}

/** For how long the process that was asked has been without NATS. */
function sinceWhen({ processes, answeredBy }: ListProcessesResponse): string {
  const called = processes.find(({ id, natsConnected }) => id === answeredBy && !natsConnected);
  return forHowLong(called?.natsForSeconds ?? 0);
}

/** A duration with `for`; empty for 0, which older releases send because they do not know it. */
function forHowLong(seconds: number): string {
  return seconds === 0 ? '' : ` for ${ageText(seconds)}`;
}

/** Compares replicas and gateways too, because processes of older releases do not answer for themselves. */
function versionProblems({ replicas, gateways }: GetStatusResponse, processes: readonly ProcessInfo[]): string[] {
  const versions = new Set([...processes, ...replicas, ...gateways].map(({ version }) => printable(version)));
  versions.delete('');
  return versions.size < 2
    ? []
    : [`several versions run: ${[...versions].sort().join(', ')}; finish the upgrade (docs/scaling.md)`];
}

/** `0.3 s` */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
