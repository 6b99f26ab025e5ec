import { gatewaySettings } from '@spanmesh/link-gateway/settings';
import { LOG_LEVELS } from '@spanmesh/runtime/logger';
import { type SettingValues, setting } from '@spanmesh/runtime/setting';
import { listenAddress, oneOf } from '@spanmesh/runtime/setting-types';
import { settings as topologySettings } from '@spanmesh/topology/settings';

/** What the process as a whole can be told; the services' own settings are theirs. */
const processSettings = {
  grpcListen: setting({
    env: 'SPANMESH_GRPC_LISTEN',
    flag: '--grpc-listen',
    default: '127.0.0.1:7987',
    describe: 'Where the gRPC API listens: host:port.',
    parse: listenAddress(),
  }),
  httpListen: setting({
    env: 'SPANMESH_HTTP_LISTEN',
    flag: '--http-listen',
    default: '127.0.0.1:8987',
    describe: 'Where HTTP listens for health checks and metrics: host:port.',
    parse: listenAddress(),
  }),
  logLevel: setting({
    env: 'SPANMESH_LOG_LEVEL',
    flag: '--log-level',
    default: 'info',
    describe: `Least important log lines that are written: ${LOG_LEVELS.join(', ')}.`,
    parse: oneOf(LOG_LEVELS),
  }),
};

/** Everything that `spanmesh run standalone` can be told. */
export const settings = { ...processSettings, ...gatewaySettings, ...topologySettings };

/** What `readSettings(settings, …)` returns. */
export type StandaloneOptions = SettingValues<typeof settings>;
