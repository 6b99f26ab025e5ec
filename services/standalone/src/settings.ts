import { gatewaySettings } from '@spanmesh/link-gateway/settings';
import { processSettings } from '@spanmesh/runtime/process-settings';
import type { SettingValues } from '@spanmesh/runtime/setting';
import { settings as topologySettings } from '@spanmesh/topology/settings';

/** Everything that `spanmesh run standalone` can be told. The service port is used within the process only: any will do. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7987', service: '127.0.0.1:0', http: '127.0.0.1:8987' }),
  ...gatewaySettings,
  ...topologySettings,
};

/** What `readSettings(settings, …)` returns. */
export type StandaloneOptions = SettingValues<typeof settings>;
