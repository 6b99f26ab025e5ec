import { settings as gatewaySettings } from '@spanmesh/link-gateway/main';
import type { Setting } from '@spanmesh/runtime/settings/setting';
import { settings as standaloneSettings } from '@spanmesh/standalone/main';
import { settings as topologySettings } from '@spanmesh/topology/main';
import { settings as volconfSettings } from '@spanmesh/volconf/main';

/** The services that the image can run, by the argument that selects them. */
export const SERVICE_SETTINGS: Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>> = {
  standalone: standaloneSettings,
  'link-gateway': gatewaySettings,
  topology: topologySettings,
  volconf: volconfSettings,
};

/** The environment variables that a service reads; without an argument, those of all services. */
export function settingNames(service?: string): ReadonlySet<string> {
  const chosen = service === undefined ? Object.values(SERVICE_SETTINGS) : [SERVICE_SETTINGS[service] ?? {}];
  return new Set(chosen.flatMap((settings) => Object.values(settings).map(({ env }) => env)));
}
