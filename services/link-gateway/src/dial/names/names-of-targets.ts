import type { Clock } from '@spanmesh/runtime/clock';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Resolve } from '../dialler.ts';
import { dnsLookUp } from './dns-look-up.ts';
import { HostsFile } from './hosts-file.ts';
import { LookUps } from './look-ups.ts';
import { readResolverConf } from './resolver-conf.ts';

/** Looks up names of targets as this host does: what is in /etc/hosts, then its name servers. */
export function namesOfTargets({ clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics }): Resolve {
  const hosts = new HostsFile();
  const lookUps = new LookUps({
    pinned: (name) => hosts.addressesOf(name),
    lookUp: dnsLookUp({ conf: readResolverConf }),
    clock,
  });
  registerLookUps(metrics, lookUps);
  return (host, asking) => lookUps.resolve(host, asking);
}

/** Gives the numbers of look-ups their names. Call once a process and gateway. */
export function registerLookUps(to: Metrics, lookUps: Pick<LookUps, 'running' | 'waiting'>): void {
  to.gauge('spanmesh_gateway_look_ups', 'Look-ups of names that run.', () => lookUps.running);
  to.gauge('spanmesh_gateway_look_ups_waiting', 'Names that wait to be looked up.', () => lookUps.waiting);
}
