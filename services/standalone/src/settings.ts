import { consoleSettings } from '@spanmesh/console/settings';
import { gatewaySettings } from '@spanmesh/link-gateway/settings';
import { processSettings } from '@spanmesh/runtime/process/process-settings';
import { type SettingValues, setting } from '@spanmesh/runtime/settings/setting';
import { boolean, text } from '@spanmesh/runtime/settings/setting-types';
import { settings as topologySettings } from '@spanmesh/topology/settings';
import { settings as volconfSettings } from '@spanmesh/volconf/settings';

/**
 * All settings of `spanmesh run standalone`. The service port is used within the process only, so any free port will
 * do.
 */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7987', service: '127.0.0.1:0', http: '127.0.0.1:8987' }),
  ...gatewaySettings,
  ...topologySettings,
  ...volconfSettings,
  ...consoleSettings,
  dataDir: setting({
    env: 'SPANMESH_DATA_DIR',
    flag: '--data-dir',
    default: '.spanmesh',
    describe:
      "Where an operator's targets are kept; made when the first one is set. Empty: they are forgotten at the end.",
    parse: text({ max: 4096 }),
  }),
  rehearsal: setting({
    env: 'SPANMESH_REHEARSAL',
    flag: '--rehearsal',
    default: 'true',
    describe: 'Before it serves, relay some hundred spans in private, so that the first peers find compiled code.',
    parse: boolean(),
  }),
};

/** What `readSettings(settings, …)` returns. */
export type StandaloneOptions = SettingValues<typeof settings>;
